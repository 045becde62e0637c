//! `runtime-default` is what containerd's own code says (`tests/fixtures`).

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{self, Answer, Call};
use super::{ARCHES, assembled};
use crate::syscalls::{every_name, highest_number, number};
use crate::{Profile, runtime_filter};

const RULES: &str = include_str!("../../tests/fixtures/containerd-default.txt");

/// The rules for a process with one capability, or none: per call, the answer and its condition.
fn rules(capability: Option<u8>) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut rules: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in RULES.lines() {
        let (whose, rule) = line.split_once(' ').unwrap();
        let (name, answer) = rule[1..].split_once(' ').unwrap();
        if whose != "*" && whose.parse() != Ok(capability.unwrap_or(u8::MAX)) {
            continue;
        }
        let answers = rules.entry(name).or_default();
        match &rule[..1] {
            "+" => assert!(answers.insert(answer), "{line}"),
            _ => assert!(answers.remove(answer), "{line}"),
        }
    }
    rules
}

fn expected(rules: &BTreeSet<&str>, call: &Call) -> Answer {
    let matching = |rule: &&&str| {
        let words: Vec<&str> = rule.split(' ').collect();
        let [_, index, operator, value, second] = words[..] else {
            return words.len() == 1;
        };
        let argument = call.args[index.parse::<usize>().unwrap()];
        let (value, second): (u64, u64) = (value.parse().unwrap(), second.parse().unwrap());
        match operator {
            "eq" => argument == value,
            "lt" => argument < value,
            "masked_eq" => argument & value == second,
            _ => panic!("{rule}"),
        }
    };
    match rules
        .iter()
        .find(matching)
        .map(|rule| rule.split(' ').next())
    {
        None => Answer::Errno(1),
        Some(Some("allow")) => Answer::Allow,
        Some(Some("errno:38")) => Answer::Errno(38),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_default_is_that_of_containerd_with_every_capability() {
    let empty = BTreeSet::new();
    // Families, personalities and flags of clone.
    let arguments = (0..64).chain((0..32).map(|bit| 1 << bit));
    let arguments: Vec<u64> = arguments
        .chain([0x20008, 0xffff_ffff, 0x7e02_0000])
        .collect();
    for arch in ARCHES {
        let filter = runtime_filter(Profile::RuntimeDefault, arch).unwrap();
        for capability in [None].into_iter().chain((0..64).map(Some)) {
            let rules = rules(capability);
            let program = assembled(&filter, capability.as_slice());
            let named = every_name().filter_map(|name| Some((name, number(name, arch).unwrap()?)));
            for (name, number) in named {
                let rules = rules.get(name).unwrap_or(&empty);
                let arguments = if rules.iter().any(|r| r.contains(' ')) {
                    &arguments[..]
                } else {
                    &[0]
                };
                for argument in arguments {
                    let call = Call::new(arch, number, &[*argument]);
                    let (answer, _) = machine::run(&program, &call);
                    let expected = expected(rules, &call);
                    assert_eq!(answer, expected, "{name} {call:?} {capability:?}");
                }
            }
        }
    }
}

/// Calls that containerd does not name are refused, whatever the capabilities.
#[test]
fn nothing_else_is_allowed() {
    let capabilities: Vec<u8> = (0..64).collect();
    for arch in ARCHES {
        let filter = runtime_filter(Profile::RuntimeDefault, arch).unwrap();
        let program = assembled(&filter, &capabilities);
        let named = named_by_containerd().into_iter();
        let named: BTreeSet<u32> = named.filter_map(|n| number(n, arch).unwrap()).collect();
        for number in (0..=highest_number(arch)).filter(|n| !named.contains(n)) {
            let (answer, _) = machine::run(&program, &Call::new(arch, number, &[]));
            assert_eq!(answer, Answer::Errno(1), "{number}");
        }
    }
}

/// Every name in the rules, with any capability.
fn named_by_containerd() -> BTreeSet<&'static str> {
    let names = RULES.lines().map(|line| line.split([' ', '+', '-']).nth(2));
    names.map(Option::unwrap).collect()
}
