//! Moves agreements.

use spillway_events::Party;
use spillway_provisioning::{
    AgreementAct, AgreementCommand, Change, Object, Positions, SourceFile, VersionId,
};

use super::{Applied, CommandHead, ProvisionError, Provisioner, command};
use spillway_provisioning::parse_files;

/// What becomes of the document of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// The party's draft.
    Draft,
    /// The next version.
    New,
    /// The next version instead of the other party's proposal.
    Counter(VersionId),
}

impl Provisioner {
    /// Proposes the agreement that a document describes, or says that it would.
    ///
    /// # Errors
    /// When the document has mistakes, is refused, or the log fails; nothing has changed then.
    pub fn propose(
        &self,
        by: Party,
        proposal: Proposal,
        document: &SourceFile<'_>,
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let mut parsed = parse_files(&[*document]).map_err(ProvisionError::Mistakes)?;
        let ids: Vec<_> = parsed.objects.iter().map(Object::id).collect();
        let (Some(agreement), true) = (parsed.objects.pop(), parsed.objects.is_empty()) else {
            return Err(ProvisionError::NotOneDocument { found: ids.len() });
        };
        let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
        let body = [format!("{by} {proposal:?}\n").as_bytes(), document.bytes].concat();
        let act = match proposal {
            Proposal::Draft => AgreementAct::Draft(agreement),
            Proposal::New => AgreementAct::Propose(agreement),
            Proposal::Counter(version) => AgreementAct::Counter(version, agreement),
        };
        let command = command(head, &body, Change::Agreement(AgreementCommand { by, act }));
        self.change(&command, &parsed.positions, warnings, head.dry_run)
    }

    /// Moves a version of an agreement, or says that it would.
    ///
    /// # Errors
    /// When the move is refused, or the log fails; nothing has changed then.
    pub fn agree(
        &self,
        by: Party,
        act: AgreementAct,
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let body = format!("{by} {act:?}");
        let change = Change::Agreement(AgreementCommand { by, act });
        let command = command(head, body.as_bytes(), change);
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }
}
