//! What the kinds have in common.

use crate::field_path::FieldPath;
use crate::object::{Claim, ObjectId, Reference};

/// An object of any kind, as the rules between objects see it.
pub(crate) trait Kind {
    /// The object's kind and name.
    fn id(&self) -> ObjectId;

    /// The objects that it names.
    fn references(&self) -> Vec<Reference>;

    /// What only one object can have and this object has, with the fields that say so.
    fn claims(&self) -> Vec<(FieldPath, Claim)>;
}
