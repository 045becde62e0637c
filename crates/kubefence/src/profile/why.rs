//! `kubefence profile why`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use kubefence_profile::{
    Catalog, Explanation, Operation, PortExplanation, PortOperation, ResolvedProfile, Surroundings,
    Verdict,
};
use serde::Serialize;

use crate::cli::WhyArgs;
use crate::print::{self, BAD, DOUBTFUL, FAINT, GOOD, styled};
use crate::profile::load;

pub(crate) fn run(catalog: &Catalog, args: &WhyArgs, json: bool) -> anyhow::Result<ExitCode> {
    let profile = load::profile(catalog, &args.name)?;
    let answer = match (&args.path, args.port) {
        (Some(path), _) => about_path(profile, path, args)?,
        (None, Some(port)) => about_port(profile, port, &args.op)?,
        (None, None) => bail!("state --path or --port"),
    };
    if json {
        print::json(&answer)?;
    } else {
        answer.show();
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer, for machines and people alike.
#[derive(Serialize)]
struct Answer {
    profile: String,
    operation: String,
    object: String,
    verdict: &'static str,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Answer {
    fn show(&self) {
        let Self {
            profile,
            operation,
            object,
            verdict,
            ..
        } = self;
        let style = match *verdict {
            "allowed" => GOOD,
            "denied" => BAD,
            _ => DOUBTFUL,
        };
        let verdict = styled(style, format!("{verdict}:"));
        anstream::println!("{verdict} {operation} {object} under profile {profile}");
        for reason in &self.reasons {
            anstream::println!("  {reason}");
        }
        if let Some(remedy) = &self.remedy {
            anstream::println!(
                "  {} {remedy}",
                styled(FAINT, "the smallest rule that would allow it:")
            );
        }
    }
}

fn about_path(profile: &ResolvedProfile, path: &str, args: &WhyArgs) -> anyhow::Result<Answer> {
    let operation = Operation::ALL
        .into_iter()
        .find(|known| known.name() == args.op);
    let operation = operation.with_context(|| {
        let names = Operation::ALL.map(Operation::name).join(", ");
        format!(
            "--op {:?} is no operation on a path: choose from {names}",
            args.op
        )
    })?;
    let container = Surroundings {
        home: Some(args.home.clone()),
        workdir: Some(args.workdir.clone()),
        tmpdir: args.tmpdir.clone(),
        uid: args.uid,
    };
    let explained = profile.explain(path, operation, &container)?;
    Ok(Answer {
        profile: profile.name.to_string(),
        operation: operation.to_string(),
        verdict: match explained.verdict {
            Verdict::Allowed => "allowed",
            Verdict::Depends => "depends",
            Verdict::Denied => "denied",
        },
        reasons: reasons(&explained),
        remedy: explained.remedy,
        object: explained.path,
    })
}

fn reasons(explained: &Explanation) -> Vec<String> {
    let rights = explained.rights.iter().map(|need| match &need.granted_by {
        None => format!(
            "no rule grants {} on {} or a directory above it",
            need.right, need.on
        ),
        Some(rule) => {
            let at = rule
                .at
                .as_ref()
                .map(|at| format!(", {at}"))
                .unwrap_or_default();
            format!(
                "{} on {}: {} ({}{at})",
                need.right, need.on, rule.place, rule.origin
            )
        }
    });
    rights.chain(explained.notes.iter().cloned()).collect()
}

fn about_port(profile: &ResolvedProfile, port: u16, op: &str) -> anyhow::Result<Answer> {
    let operation = PortOperation::ALL
        .into_iter()
        .find(|known| known.name() == op);
    let operation = operation.with_context(|| {
        let names = PortOperation::ALL.map(PortOperation::name).join(", ");
        format!("--op {op:?} is no operation on a port: choose from {names}")
    })?;
    let (verdict, reason, remedy) = match profile.explain_port(port, operation) {
        PortExplanation::Unrestricted => (
            "allowed",
            "the profile restricts no such ports".to_owned(),
            None,
        ),
        PortExplanation::Listed(at) => (
            "allowed",
            format!("the profile lists the port ({at})"),
            None,
        ),
        PortExplanation::Denied { remedy } => (
            "denied",
            "the profile lists other ports or none".to_owned(),
            Some(remedy),
        ),
    };
    Ok(Answer {
        profile: profile.name.to_string(),
        operation: operation.to_string(),
        object: format!("TCP port {port}"),
        verdict,
        reasons: vec![reason],
        remedy,
    })
}
