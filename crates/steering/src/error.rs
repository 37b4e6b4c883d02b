//! Why the state of a checkpoint is not taken over.

/// Why a part of a checkpoint does not fit the provisioning of its tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A site is not provisioned.
    #[error("the site is not provisioned")]
    Site,
    /// A site has a route in a network that is not provisioned.
    #[error("a network of its routes is not provisioned")]
    Network,
    /// A window is of a probe that is not provisioned.
    #[error("a probe of its windows is not provisioned")]
    Probe,
    /// A window is of a target that the site does not have.
    #[error("a target of its windows is none of the site's")]
    Target,
    /// The windows of a series are not one an objective, or contradict themselves.
    #[error("the windows of a series are not what its objectives ask for")]
    Windows,
}
