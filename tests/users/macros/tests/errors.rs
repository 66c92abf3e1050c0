//! What the compiler says about a model that is wrong, and under which token.

#[test]
fn errors_stand_under_the_token_that_is_at_fault() {
    trybuild::TestCases::new().compile_fail("../../ui/*.rs");
}
