//! The global `expect`: what a case says must hold. It compares values and never runs the policy.

mod plain;
mod routes;
mod values;

use crate::policy::description::Namespace;

/// What a case says must hold.
pub(super) const EXPECT: Namespace = Namespace {
    name: "expect",
    about: "What a case says must hold; where it does not, the case ends and has failed. Only tests have it.",
    constants: &[],
    functions: &[
        values::EQUAL,
        values::DIFFER,
        values::TRUTHY,
        values::FALSY,
        values::MATCH,
        values::CONTAINS,
        values::FAILS,
        routes::TARGETS,
        routes::REFUSED,
        routes::REPLIED,
    ],
    inner: &[],
};
