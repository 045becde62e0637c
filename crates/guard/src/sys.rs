//! What the kernel hands to this process, and becoming another program: the only module with `unsafe`.

#![allow(unsafe_code)]

#[cfg(not(test))]
use std::ffi::CStr;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
#[cfg(not(test))]
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// A NULL-terminated array of C strings, as the kernel hands it to a process.
pub(crate) type StringArray = *const *const c_char;

/// What the kernel handed to this process.
pub(crate) struct Start {
    /// The arguments, the program's own name first.
    pub(crate) argv: Vec<OsString>,
    /// The environment, in its order, duplicates included.
    pub(crate) env: Vec<OsString>,
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

    /// The value of a variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find_map(|entry| {
            let rest = entry.as_bytes().strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=").map(OsStr::from_bytes)
        })
    }
}

/// # Safety
/// `array` is null, or NULL-terminated with pointers to C strings.
#[cfg(not(test))]
unsafe fn strings(array: StringArray) -> Vec<OsString> {
    let mut found = Vec::new();
    if array.is_null() {
        return found;
    }
    // SAFETY: the caller's promise; the index never passes the terminating NULL.
    unsafe {
        while !(*array.add(found.len())).is_null() {
            let string = CStr::from_ptr(*array.add(found.len()));
            found.push(OsString::from_vec(string.to_bytes().to_vec()));
        }
    }
    found
}

/// execve(2): returns only when it fails. Signals and descriptors stay as they are.
pub(crate) fn execute(program: &Path, argv: &[OsString], env: &[OsString]) -> io::Error {
    let run = || -> io::Result<io::Error> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        let (argv, env) = (c_strings(argv)?, c_strings(env)?);
        let (argv, env) = (terminated(&argv), terminated(&env));
        // SAFETY: both arrays end with NULL and their strings outlive the call.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        Ok(io::Error::last_os_error())
    };
    run().unwrap_or_else(|error| error)
}

fn c_strings(strings: &[OsString]) -> io::Result<Vec<CString>> {
    let strings = strings.iter();
    strings.map(|s| Ok(CString::new(s.as_bytes())?)).collect()
}

fn terminated(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|s| s.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}
