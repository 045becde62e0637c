//! containerd's config.toml.

use std::path::Path;

use super::{DaemonOptions, PAUSE_IMAGE};

const TEMPLATE: &str = include_str!("containerd.toml");

pub(super) fn render(home: &Path, runc: &Path, options: DaemonOptions) -> String {
    TEMPLATE
        .replace("@HOME@", &home.to_string_lossy())
        .replace("@RUNC@", &runc.to_string_lossy())
        .replace("@PAUSE@", PAUSE_IMAGE)
        .replace("@VALIDATOR@", &options.validator.to_string())
}
