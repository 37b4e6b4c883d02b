//! Moves agreements.

use spillway_events::Party;
use spillway_provisioning::{
    AgreementAct, AgreementCommand, Change, Object, Positions, SourceFile, VersionId, parse_files,
};

use super::{Applied, CommandHead, ProvisionError, Provisioner, command};

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
        let what = match &proposal {
            Proposal::Draft => String::from("drafts"),
            Proposal::New => String::from("proposes"),
            Proposal::Counter(version) => format!("counters {version}"),
        };
        let body = [format!("{by} {what}\n").as_bytes(), document.bytes].concat();
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
    pub fn move_agreement(
        &self,
        by: Party,
        act: AgreementAct,
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let body = format!("{by} {}", written(&act));
        let change = Change::Agreement(AgreementCommand { by, act });
        let command = command(head, body.as_bytes(), change);
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }
}

/// A move as text, which a retry has too.
fn written(act: &AgreementAct) -> String {
    match act {
        AgreementAct::Draft(_) | AgreementAct::Propose(_) | AgreementAct::Counter(..) => {
            String::from("writes")
        }
        AgreementAct::ProposeDraft(version) => format!("proposes {version}"),
        AgreementAct::Accept(version, digest) => format!("accepts {version} {digest}"),
        AgreementAct::Reject(version, reason) => format!("rejects {version}: {reason}"),
        AgreementAct::Withdraw(version, reason) => format!("withdraws {version}: {reason}"),
        AgreementAct::Suspend(version, at, reason) => format!("suspends {version} at {}: {reason}", at.0),
        AgreementAct::Resume(version, at, reason) => format!("resumes {version} at {}: {reason}", at.0),
        AgreementAct::Terminate(version, at, reason) => format!("terminates {version} at {}: {reason}", at.0),
    }
}
