//! System calls: the only module with `unsafe`.
//!
//! Each function is one call, safe to use with any arguments its types admit. Descriptors that are
//! opened here are closed on exec, always.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::errno::Errno;

/// A NULL-terminated array of C strings, as the kernel hands it to a process.
pub(crate) type StringArray = *const *const c_char;

/// What the kernel handed to this process.
pub(crate) struct Start {
    /// The arguments, the launcher's own name first.
    pub(crate) argv: Vec<&'static CStr>,
    /// The environment, in its order, duplicates included.
    pub(crate) env: Vec<&'static CStr>,
}

impl Start {
    /// Wraps what the C start-up code passes to `main`.
    #[cfg(not(test))]
    pub(crate) fn received(argv: StringArray, envp: StringArray) -> Self {
        // SAFETY: both arrays lie on the initial stack: NULL-terminated, valid and unchanged for the
        // life of the process, because nothing here calls setenv or writes to argv.
        unsafe {
            Self {
                argv: strings(argv),
                env: strings(envp),
            }
        }
    }
}

/// # Safety
/// `array` is null, or NULL-terminated with pointers to C strings that are valid forever.
#[cfg(not(test))]
unsafe fn strings(array: StringArray) -> Vec<&'static CStr> {
    let mut found = Vec::new();
    if array.is_null() {
        return found;
    }
    // SAFETY: the caller's promise; the index never passes the terminating NULL.
    unsafe {
        while !(*array.add(found.len())).is_null() {
            found.push(CStr::from_ptr(*array.add(found.len())));
        }
    }
    found
}

fn last_errno() -> Errno {
    Errno::of(&std::io::Error::last_os_error())
}

fn check(result: c_long) -> Result<c_long, Errno> {
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

/// Where a relative path starts.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    /// The working directory.
    Cwd,
    /// An open directory.
    Dir(&'a OwnedFd),
}

impl At<'_> {
    fn raw(self) -> c_int {
        match self {
            Self::Cwd => libc::AT_FDCWD,
            Self::Dir(fd) => fd.as_raw_fd(),
        }
    }
}

/// openat2(2): opens `path` with `flags` (O_CLOEXEC is added) under the `RESOLVE_*` rules of `resolve`.
pub(crate) fn open(at: At, path: &CStr, flags: c_int, resolve: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: open_how is a plain C struct for which all zeroes is the documented default.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.resolve = resolve;
    // SAFETY: path and how outlive the call, and the size is that of how.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            at.raw(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    })?;
    // SAFETY: the call succeeded, so fd is open and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// readlinkat(2): the target of the link `name`, or of the link that `at` itself is when empty.
pub(crate) fn read_link(at: At, name: &CStr) -> Result<Vec<u8>, Errno> {
    let mut target = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer is writable for its whole length, and name is a C string.
    let len = check(unsafe {
        libc::readlinkat(
            at.raw(),
            name.as_ptr(),
            target.as_mut_ptr().cast(),
            target.len(),
        )
    } as c_long)? as usize;
    if len == target.len() {
        return Err(Errno(libc::ENAMETOOLONG)); // perhaps cut off
    }
    target.truncate(len);
    Ok(target)
}

/// fstatfs(2): the magic number of the file system that `fd` lies on.
pub(crate) fn file_system(fd: &OwnedFd) -> Result<i64, Errno> {
    let mut status = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: status has room for one statfs.
    check(unsafe { libc::fstatfs(fd.as_raw_fd(), status.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded, so the kernel filled it in.
    let status = unsafe { status.assume_init() };
    #[allow(clippy::unnecessary_cast)] // the field's type differs between architectures
    Ok(status.f_type as i64)
}

/// Tells files and directories apart, whichever path leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: (u32, u32),
    inode: u64,
}

/// What statx(2) tells about a file.
pub(crate) struct Status {
    /// Which it is.
    pub(crate) file: FileId,
    /// File type and permission bits.
    pub(crate) mode: u32,
    /// Identifies the mount that the file was reached through.
    pub(crate) mount: u64,
    /// Length in bytes.
    pub(crate) size: u64,
}

/// statx(2) of the file that `path` leads to, or of `at` itself when `path` is empty.
pub(crate) fn status(at: At, path: &CStr) -> Result<Status, Errno> {
    let mut status = MaybeUninit::<libc::statx>::uninit();
    let mask = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;
    let (dir, path, flags) = (at.raw(), path.as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: path is a C string and status has room for one statx.
    check(unsafe { libc::statx(dir, path, flags, mask, status.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded, so the kernel filled it in.
    let status = unsafe { status.assume_init() };
    if status.stx_mask & mask != mask {
        return Err(Errno(libc::ENOSYS));
    }
    Ok(Status {
        file: FileId {
            device: (status.stx_dev_major, status.stx_dev_minor),
            inode: status.stx_ino,
        },
        mode: status.stx_mode.into(),
        mount: status.stx_mnt_id,
        size: status.stx_size,
    })
}

/// The type bits of an open file's mode, if they can be told.
pub(crate) fn file_type(file: &OwnedFd) -> Option<u32> {
    let status = status(At::Dir(file), c"").ok()?;
    Some(status.mode & libc::S_IFMT)
}

/// mkdirat(2): makes the directory `name` in `dir`.
pub(crate) fn make_directory(dir: &OwnedFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: name is a C string.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode) }.into())?;
    Ok(())
}

/// openat(2): makes the empty file `name` in `dir`, where nothing may be yet.
pub(crate) fn make_file(dir: &OwnedFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    let exclusive = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let flags = exclusive | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: name is a C string.
    let fd = check(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, mode) }.into())?;
    // SAFETY: the call succeeded, so fd is open and nobody else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as c_int) });
    Ok(())
}

/// geteuid(2).
pub(crate) fn effective_user() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() }
}

/// prctl(2) PR_SET_NO_NEW_PRIVS.
pub(crate) fn set_no_new_privs() -> Result<(), Errno> {
    // SAFETY: the call takes integers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    Ok(())
}

/// prctl(2) PR_GET_NO_NEW_PRIVS.
pub(crate) fn has_no_new_privs() -> bool {
    // SAFETY: the call takes integers only.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

/// faccessat(2): whether the effective user may execute (or search) `path`.
pub(crate) fn may_execute(path: &CStr) -> Result<(), Errno> {
    let (cwd, mode, flags) = (libc::AT_FDCWD, libc::X_OK, libc::AT_EACCESS);
    // SAFETY: path is a C string.
    check(unsafe { libc::faccessat(cwd, path.as_ptr(), mode, flags) }.into())?;
    Ok(())
}

/// getcwd(2), the bare system call: a directory outside the root comes as `(unreachable)/…`.
pub(crate) fn working_directory() -> Result<Vec<u8>, Errno> {
    let mut path = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer is writable for its whole length.
    let len = check(unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) })?;
    path.truncate((len as usize).saturating_sub(1)); // the kernel counts the NUL
    Ok(path)
}

/// chdir(2).
pub(crate) fn change_directory(path: &CStr) -> Result<(), Errno> {
    // SAFETY: path is a C string.
    check(unsafe { libc::chdir(path.as_ptr()) }.into())?;
    Ok(())
}

/// fchdir(2).
pub(crate) fn change_directory_to(dir: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: dir is an open descriptor.
    check(unsafe { libc::fchdir(dir.as_raw_fd()) }.into())?;
    Ok(())
}

/// close_range(2): marks every descriptor from `first` on to be closed on exec.
pub(crate) fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the call only sets a flag on descriptors; no owner loses one.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    Ok(())
}

/// execve(2): returns only when it fails.
pub(crate) fn execute(path: &CStr, argv: &[&CStr], env: &[&CStr]) -> Errno {
    let terminated = |strings: &[&CStr]| -> Vec<*const c_char> {
        let pointers = strings.iter().map(|s| s.as_ptr());
        pointers.chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (terminated(argv), terminated(env));
    // SAFETY: both arrays end with NULL and their strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_errno()
}

/// landlock_create_ruleset(2), asked for the ABI: why Landlock is not available, if it is not.
pub(crate) fn probe_landlock() -> Result<i64, Errno> {
    const VERSION: c_long = 1;
    let none = std::ptr::null::<u8>();
    // SAFETY: with this flag the kernel reads no memory, and null and 0 are what it demands.
    check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) })
}

/// landlock_restrict_self(2) with the ruleset that descriptor number `ruleset` is. The arguments that the call
/// does not have are zero, so that to a seccomp filter two calls with the same arguments are the same call.
pub(crate) fn restrict_self(ruleset: c_int, flags: u32) -> Result<(), Errno> {
    const ZERO: c_long = 0;
    let (number, ruleset, flags) = (
        libc::SYS_landlock_restrict_self,
        c_long::from(ruleset),
        flags as c_long,
    );
    // SAFETY: the call takes integers only. It reads the ruleset, if there is one; no owner loses it.
    check(unsafe { libc::syscall(number, ruleset, flags, ZERO, ZERO, ZERO, ZERO) })?;
    Ok(())
}

/// seccomp(2) SECCOMP_SET_MODE_FILTER with no filter: EFAULT, if the kernel hears it.
pub(crate) fn probe_seccomp() -> Result<(), Errno> {
    let (mode, none) = (libc::SECCOMP_SET_MODE_FILTER, std::ptr::null::<u8>());
    // SAFETY: the kernel reads from the address 0 and fails.
    check(unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, none) })?;
    Ok(())
}

/// seccomp(2) SECCOMP_SET_MODE_FILTER: each instruction is a `struct sock_filter` in little-endian order.
pub(crate) fn install_filter(instructions: &[u64]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(|_| Errno(libc::EINVAL))?,
        filter: instructions.as_ptr().cast_mut().cast(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel only reads; program points to len instructions of 8 bytes, and both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) })?;
    Ok(())
}

/// prctl(2) PR_GET_SECCOMP: whether any filter is in force.
pub(crate) fn is_filtered() -> bool {
    // SAFETY: the call takes integers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) == 2 }
}

/// prctl(2) PR_CAPBSET_READ: whether a capability is in the bounding set; not if the kernel does not know it.
pub(crate) fn may_have_capability(capability: u8) -> bool {
    // SAFETY: the call takes integers only.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0, 0, 0) == 1 }
}

/// write(2), repeated until everything is written.
pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        // SAFETY: the slice is readable for its whole length.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match check(written as c_long) {
            Ok(written) => bytes = &bytes[written as usize..],
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// _exit(2): ends the process without running anything else.
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(code.into()) }
}

/// A C string of `bytes`, cut at the first NUL (values from argv and env have none).
pub(crate) fn c_string(bytes: impl Into<Vec<u8>>) -> CString {
    let mut bytes = bytes.into();
    if let Some(nul) = bytes.iter().position(|b| *b == 0) {
        bytes.truncate(nul);
    }
    CString::new(bytes).unwrap_or_default()
}
