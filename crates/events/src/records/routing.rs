//! Routes, verdicts, and the reasons for which a route differs from its verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CdnName;

/// Where one site's traffic from one access network goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The CDN; absent for the origin.
    pub cdn: Option<CdnName>,
}

impl Route {
    /// The route to the origin.
    pub const ORIGIN: Self = Self { cdn: None };

    /// The route to a CDN.
    #[must_use]
    pub fn to_cdn(cdn: CdnName) -> Self {
        Self { cdn: Some(cdn) }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cdn {
            None => f.write_str("origin"),
            Some(cdn) => write!(f, "cdn:{cdn}"),
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The word as written in records.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The literal outcome of the rule.
    Verdict {
        /// The performance is within the level agreed.
        Below = "below",
        /// The performance value has reached the threshold.
        AtOrAbove = "at_or_above",
        /// There is no evidence.
        Unknown = "unknown",
    }
}

words! {
    /// Why a route differs from its verdict: the closed list.
    Reason {
        /// The verdict is unknown; the last route is held.
        UnknownHold = "unknown_hold",
        /// The verdict was never known; the route is the origin.
        ColdStart = "cold_start",
        /// Nothing is agreed for the site; the route is the origin.
        NoAgreement = "no_agreement",
        /// An operator pinned the route.
        Pinned = "pinned",
        /// The target is drained.
        Drained = "drained",
        /// No CDN can be used.
        NoUsableCdn = "no_usable_cdn",
        /// The value is within the agreed return band.
        ReturnBand = "return_band",
        /// The route has not yet lasted for the agreed time.
        Dwell = "dwell",
        /// Traffic returns in steps.
        Graded = "graded",
        /// An operator froze routes.
        Frozen = "frozen",
        /// Too much traffic would have moved at once.
        Guarded = "guarded",
    }
}
