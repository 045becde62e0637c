//! Files that shells keep in nearly every home. They may hold secrets, so what the container chooses does not
//! open them; but they are no reason to close what the host named.

/// What shells read at their start and keep of what was typed, in any home.
const SHELL_FILES: [&[u8]; 17] = [
    b".bash_history",
    b".bash_login",
    b".bash_logout",
    b".bash_profile",
    b".bashrc",
    b".env",
    b".envrc",
    b".history",
    b".profile",
    b".python_history",
    b".zlogin",
    b".zlogout",
    b".zprofile",
    b".zsh_history",
    b".zshenv",
    b".zshrc",
    b"fish",
];

/// Whether `path` is one of these files.
pub(super) fn is_shells(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next();
    name.is_some_and(|name| SHELL_FILES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::is_shells;

    #[test]
    fn only_the_last_component_tells() {
        for path in ["/app/.profile", "/app/.config/fish", ".env"] {
            assert!(is_shells(path.as_bytes()), "{path}");
        }
        for path in [
            "/app/.ssh",
            "/app/.profile/x",
            "/app/x.env",
            "/app/.npmrc",
            "",
        ] {
            assert!(!is_shells(path.as_bytes()), "{path}");
        }
    }
}
