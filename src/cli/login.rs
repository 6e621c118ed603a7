//! Who runs a verb: what the environment says, else the name of the user's number in the file of users (passwd(5)). Users of
//! a directory service stand in no file, so that there may be none.

/// The name; `None` where nobody knows it.
pub(super) fn name() -> Option<String> {
    let of_environment = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let said = of_environment.into_iter().find(|name| !name.trim().is_empty());
    said.or_else(|| in_file(&std::fs::read_to_string("/etc/passwd").ok()?, rustix::process::getuid().as_raw()))
}

/// The name of a user by number: lines are `name:password:number:…`.
fn in_file(users: &str, number: u32) -> Option<String> {
    let mut fields = users.lines().map(|line| line.split(':'));
    let found = fields.find_map(|mut of| Some((of.next()?, of.nth(1)?.parse().ok()?)).filter(|(_, of)| *of == number));
    found.map(|(name, _): (&str, u32)| name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::in_file;

    #[test]
    fn a_user_is_found_by_number() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n# a word\nbroken:x\nanna:x:1000:1000::/home/anna:/bin/sh\n:x:7:7::/:/\n";
        let name = |number| in_file(users, number);
        assert_eq!((name(0).as_deref(), name(1000).as_deref()), (Some("root"), Some("anna")));
        assert_eq!((name(1), name(7)), (None, None));
    }
}
