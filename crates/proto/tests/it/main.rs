//! Contracts evolve additively: nothing the last release knew may change its meaning.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use prost_reflect::{DescriptorPool, Kind};

/// The descriptor set of the last release. A release replaces it: `cp target/…/titan.descriptors proto/`.
const LAST_RELEASE: &[u8] = include_bytes!("../../../../proto/last-release.descriptors");

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(value) => value.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

fn breaks(old: &DescriptorPool, new: &DescriptorPool) -> Vec<String> {
    let mut breaks = Vec::new();
    for message in old.all_messages().filter(|m| m.package_name().starts_with("titan.")) {
        let Some(now) = new.get_message_by_name(message.full_name()) else {
            breaks.push(format!("{} is gone", message.full_name()));
            continue;
        };
        for field in message.fields() {
            match now.get_field(field.number()) {
                None if now.reserved_ranges().any(|range| range.contains(&field.number())) => {}
                None => breaks.push(format!("{} is gone and its number is not reserved", field.full_name())),
                Some(f)
                    if type_name(&f.kind()) != type_name(&field.kind())
                        || f.cardinality() != field.cardinality()
                        || f.name() != field.name() =>
                {
                    breaks.push(format!("{} has changed", field.full_name()));
                }
                Some(_) => {}
            }
        }
    }
    for value in old.all_enums().filter(|e| e.package_name().starts_with("titan.")) {
        let now = new.get_enum_by_name(value.full_name());
        let kept = now.is_some_and(|now| value.values().all(|v| now.get_value(v.number()).is_some_and(|n| n.name() == v.name())));
        if !kept {
            breaks.push(format!("{} has lost or renamed a value", value.full_name()));
        }
    }
    for method in old.services().filter(|s| s.package_name().starts_with("titan.")).flat_map(|s| s.methods().collect::<Vec<_>>()) {
        let service = new.get_service_by_name(method.parent_service().full_name());
        let now = service.and_then(|s| s.methods().find(|m| m.name() == method.name()));
        let kept = now
            .is_some_and(|m| m.input().full_name() == method.input().full_name() && m.output().full_name() == method.output().full_name());
        if !kept {
            breaks.push(format!("{} is gone or has changed", method.full_name()));
        }
    }
    breaks
}

#[test]
fn nothing_of_the_last_release_is_broken() {
    let (old, new) = (DescriptorPool::decode(LAST_RELEASE).unwrap(), DescriptorPool::decode(titan_proto::DESCRIPTORS).unwrap());
    let broken = breaks(&old, &new);
    assert!(broken.is_empty(), "make a new message or field instead:\n{}", broken.join("\n"));
}

#[test]
fn a_break_is_found() {
    let pool = |field: &str| {
        let text = format!(
            "syntax = 'proto3'; package titan.x.v1; message M {{ {field} }} enum E {{ A = 0; }} service S {{ rpc R(M) returns (M); }}"
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.proto"), text).unwrap();
        let descriptors = protox::compile(["x.proto"], [dir.path()]).unwrap();
        DescriptorPool::from_file_descriptor_set(descriptors).unwrap()
    };
    let old = pool("string a = 1;");
    assert!(breaks(&old, &pool("string a = 1; string b = 2;")).is_empty());
    for broken in ["", "int32 a = 1;", "string a = 2;", "repeated string a = 1;", "string c = 1;"] {
        assert!(!breaks(&old, &pool(broken)).is_empty(), "{broken}");
    }
    assert!(breaks(&old, &pool("reserved 1;")).is_empty());
}
