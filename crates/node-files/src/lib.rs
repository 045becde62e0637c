//! What kubefence keeps on a node, for more than one of its programs.
//!
//! - [`records`]: what the guard knows of each container, in a directory that only root can look into.
//!
//! Files are put in place by rename, so that a reader sees the old content or the new.
//!
//! Not here: any decision. These are files, and what they mean.

#![forbid(unsafe_code)]

pub mod plans;
pub mod records;
