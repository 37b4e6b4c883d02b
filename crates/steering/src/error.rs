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
    /// A window belongs to a probe that is not provisioned.
    #[error("a probe of its windows is not provisioned")]
    Probe,
    /// A window belongs to a target that the site does not have.
    #[error("a target of its windows is not a target of the site")]
    Target,
    /// A series does not have one window for each objective, or a window contradicts itself.
    #[error("the windows of a series do not match the objectives of the site")]
    Windows,
}
