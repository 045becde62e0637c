//! A container that is about to be created: what it must be, its record, and the spec that makes it so.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use kubefence_injection::{Container, Flags, Injection, verify, wrap_prefix, wrapping};
use kubefence_node_files::records::{Confinement, FORMAT, Kind, Record, Records};
use kubefence_profile::{PlanDigest, ProfileName};

use crate::annotations::{is_sandbox, other_start, profile};
use crate::command_line::Create;
use crate::config::{Config, OnUnwrapped};
use crate::confinement::{check_launcher, prefix, published};
use crate::files;
use crate::mounts::{Others, check_devices, launcher_mount, others, rights_of_system};
use crate::openings::Openings;
use crate::rootfs::Rootfs;
use crate::spec::{Mount, Process, Spec};
use crate::sys::Start;
use crate::variables::{Image, last, variables};

/// Makes sure that the container's process starts under its profile.
pub(crate) fn prepare(config: &Config, request: &Create, start: &Start) -> anyhow::Result<()> {
    let root = runtime_root(config, request.global.root.as_deref())?;
    // The runtime would refuse it, too; but by then the record of the other one would be gone.
    ensure!(
        !root.join(&request.id).exists(),
        "there is one of that ID in {} already",
        root.display()
    );
    let bundle = std::path::absolute(&request.bundle)?;
    let path = bundle.join("config.json");
    let text = files::read(&path)?;
    let mut spec = Spec::read(&text)?;
    let annotations = spec.annotations()?;
    let record = |kind| Record {
        format: FORMAT,
        root: root.clone(),
        id: request.id.clone(),
        bundle: bundle.clone(),
        kind,
    };
    let records = Records::new(config.state_dir.clone());
    if is_sandbox(config.called_by, &annotations, &request.id) {
        return Ok(records.write(&record(Kind::Sandbox))?);
    }
    if let Some(key) = other_start(&annotations) {
        bail!(
            "its annotation {key} has the OCI runtime start something else than its command: remove it"
        );
    }
    check_launcher(config)?;
    let profile = profile(config, &annotations)?;
    let descriptors = request.preserve_fds.saturating_add(listening(start));
    let confinement = confine(config, &mut spec, &bundle, profile, descriptors)?;
    records.write(&record(Kind::Container(confinement)))?;
    files::replace(&path, &spec.text())
}

/// Edits `spec` so that its process starts under `profile`, and tells how others join it.
fn confine(
    config: &Config,
    spec: &mut Spec<'_>,
    bundle: &Path,
    profile: ProfileName,
    descriptors: u32,
) -> anyhow::Result<Confinement> {
    check_kind(spec)?;
    let text = spec.process()?.to_owned();
    let mut process = Process::read(&text)?;
    let mut env = process.env()?;
    let mounts = spec.mounts()?;
    let ours = our_args(config, &process, &mounts, &profile)?;

    let root = std::path::absolute(bundle.join(spec.root()?))?;
    let rootfs = Rootfs::open(&root)?;
    let others = others(mounts, &rootfs, &root, &config.launcher_dir)?;
    check_devices(&spec.devices()?, &rootfs)?;
    let views: Vec<_> = others.mounts.iter().map(Mount::view).collect();
    let original = Container {
        args: &process.args[ours..],
        env: &env,
        mounts: &views,
    };
    let injection = Injection::plan(original, &profile, &config.launcher_dir)?;

    let image = Image {
        rootfs: &rootfs,
        mounted: &others.resolved,
    };
    let mut set = injection.env;
    if last(&env, "HOME").is_none()
        && let Some(home) = image.home(process.uid()?)?
    {
        set.push(("HOME".to_owned(), home));
    }
    env.extend(set.iter().map(|(key, value)| format!("{key}={value}")));
    let variables = variables(&process, &env, &process.args[ours], Some(image))?;
    let plan = plan(config, &profile, &others)?;
    let confinement = Confinement {
        profile,
        plan,
        variables,
    };

    process.rewrap(&prefix(&confinement, descriptors, &others.expected()), ours)?;
    process.set_env(&set)?;
    let mut mounts = others.mounts;
    mounts.push(launcher_mount(&config.launcher_dir));
    spec.set_process(&process);
    spec.set_mounts(&mounts);
    Ok(confinement)
}

/// The plan of `profile`, if the image leads no mount to where it opens what lies there.
fn plan(
    config: &Config,
    profile: &ProfileName,
    others: &Others,
) -> anyhow::Result<Option<PlanDigest>> {
    let Some(published) = published(config, profile)? else {
        others.check_redirected(rights_of_system)?;
        return Ok(None);
    };
    let openings = Openings::of(&published.plan);
    others.check_redirected(|path| openings.rights(path))?;
    Ok(Some(published.digest))
}

/// Checks that nothing of the container runs before its process, or outside of its own mounts.
fn check_kind(spec: &Spec<'_>) -> anyhow::Result<()> {
    if spec.has_start_hooks()? {
        bail!(
            "it has startContainer hooks, which run programs of the image unconfined: remove them"
        );
    }
    if !spec.has_own_mounts()? {
        bail!(
            "it gets no mount namespace of its own, so the sandbox launcher cannot be mounted: give it one"
        );
    }
    Ok(())
}

/// How many of the leading arguments are a wrap that somebody else has put there.
fn our_args(
    config: &Config,
    process: &Process<'_>,
    mounts: &[Mount],
    profile: &ProfileName,
) -> anyhow::Result<usize> {
    let found = wrapping(&process.args);
    if config.on_unwrapped == OnUnwrapped::Refuse {
        let views: Vec<_> = mounts.iter().map(Mount::view).collect();
        // What an earlier attempt of the guard's left is the plugin's wrap with more options.
        let plain = found.as_ref().map(|found| {
            let ours = wrap_prefix(&found.profile, &Flags::default());
            [&ours, &process.args[found.len..]].concat()
        });
        let container = Container {
            args: plain.as_ref().unwrap_or(&process.args),
            env: &[],
            mounts: &views,
        };
        verify(container, profile, &config.launcher_dir)
            .context("it arrived without its sandbox, and on_unwrapped is \"refuse\"")?;
    }
    let Some(wrapping) = found else {
        return Ok(0);
    };
    if wrapping.profile != *profile {
        bail!(
            "it is wrapped in profile {:?}, and its annotations say {:?}: give plugin and guard the same default_profile, and let \
             the handler pass the annotations nono.sh/* and container.nono.sh/* on",
            wrapping.profile.as_str(),
            profile.as_str()
        );
    }
    Ok(wrapping.len)
}

/// Where the runtime keeps its containers, by its one name.
pub(crate) fn runtime_root(config: &Config, stated: Option<&Path>) -> anyhow::Result<PathBuf> {
    let root = std::path::absolute(stated.unwrap_or(&config.runtime_root))?;
    match root.canonicalize() {
        // The runtime makes it for its first container.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(root),
        result => Ok(result?),
    }
}

/// How many descriptors from 3 on this process was handed to listen on: the runtime passes them on.
fn listening(start: &Start) -> u32 {
    let number = |name| start.variable(name)?.to_str()?.parse::<u32>().ok();
    match number("LISTEN_PID") == Some(std::process::id()) {
        true => number("LISTEN_FDS").unwrap_or(0),
        false => 0,
    }
}
