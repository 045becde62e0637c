//! Rules as they stand in the document: those that say the same of several places stand together.
//!
//! A plan is decoded at every launch, and most of its rules come in groups, so this saves most of the
//! decoding; it also reads better.

use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Create, FsRights, PathRule, Place};

/// What the document says of several places.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    origin: String,
    rights: FsRights,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create: Option<Create>,
    paths: Vec<Place>,
}

pub(crate) fn serialize<S: Serializer>(
    rules: &[PathRule],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let alike = |a: &PathRule, b: &PathRule| {
        (&a.origin, a.rights, a.optional, a.create) == (&b.origin, b.rights, b.optional, b.create)
    };
    let mut groups = serializer.serialize_seq(None)?;
    for rules in rules.chunk_by(alike) {
        groups.serialize_element(&Group {
            origin: rules[0].origin.clone(),
            rights: rules[0].rights,
            optional: rules[0].optional,
            create: rules[0].create,
            paths: rules.iter().map(|rule| rule.path.clone()).collect(),
        })?;
    }
    groups.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PathRule>, D::Error> {
    let groups = Vec::<Group>::deserialize(deserializer)?;
    let rules = groups.into_iter().flat_map(|group| {
        group.paths.into_iter().map(move |path| PathRule {
            path,
            rights: group.rights,
            optional: group.optional,
            create: group.create,
            origin: group.origin.clone(),
        })
    });
    Ok(rules.collect())
}
