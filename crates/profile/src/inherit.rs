//! Inheritance: a profile and the profiles that it builds on become one set of statements.

use kubefence_launch_plan::ProfileName;

use crate::diagnostic::Diagnostic;
use crate::document::Located;
use crate::source::{ProfileSource, Statements};
use crate::suggest::did_you_mean;

/// How many profiles a chain of `extends` may pass through.
pub(crate) const MAX_DEPTH: usize = 10;

/// Where profiles are looked up.
pub(crate) trait Sources {
    /// The profile called `name`.
    fn source(&self, name: &str) -> Option<&ProfileSource>;
    /// All names, for suggestions.
    fn names(&self) -> Vec<&str>;
}

/// What `profile` and its bases say together, and the names of all bases, nearest last.
pub(crate) fn flatten(
    profile: &ProfileSource,
    sources: &dyn Sources,
) -> Result<(Statements, Vec<ProfileName>), Diagnostic> {
    let mut chain = vec![&profile.name];
    let mut bases = Vec::new();
    let statements = collect(profile, sources, &mut chain, &mut bases)?;
    Ok((statements, bases))
}

fn collect<'a>(
    profile: &'a ProfileSource,
    sources: &'a dyn Sources,
    chain: &mut Vec<&'a ProfileName>,
    bases: &mut Vec<ProfileName>,
) -> Result<Statements, Diagnostic> {
    let mut statements = Statements::default();
    for base in &profile.extends {
        let found = sources
            .source(&base.value)
            .ok_or_else(|| unknown(base, sources))?;
        if chain.contains(&&found.name) {
            return Err(cycle(base, chain));
        }
        if chain.len() > MAX_DEPTH {
            let message = format!("extends is more than {MAX_DEPTH} profiles deep");
            return Err(Diagnostic::error(base.at.clone(), message));
        }
        // What two ways lead to counts once, or the second would undo what came between.
        if bases.contains(&found.name) {
            continue;
        }
        chain.push(&found.name);
        statements.overlay(collect(found, sources, chain, bases)?);
        chain.pop();
        bases.push(found.name.clone());
    }
    statements.overlay(profile.statements.clone());
    Ok(statements)
}

fn unknown(base: &Located<String>, sources: &dyn Sources) -> Diagnostic {
    let names = sources.names();
    let hint = match did_you_mean(&base.value, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("profiles: {}", names.join(", ")),
    };
    let message = format!("extends {:?}, which does not exist; {hint}", base.value);
    Diagnostic::error(base.at.clone(), message)
}

fn cycle(base: &Located<String>, chain: &[&ProfileName]) -> Diagnostic {
    let mut names: Vec<&str> = chain.iter().map(|name| name.as_str()).collect();
    names.push(&base.value);
    let message = format!("extends goes in a circle: {}", names.join(" extends "));
    Diagnostic::error(base.at.clone(), message)
}
