//! What the README shows is what the example crates are made of: cargo compiles and tests those.

use mobilec_tests::here;

/// The lines of a text, without documentation, comments at the end and space in front.
fn lines(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("///"));
    let code = code.map(|line| line.split_once(" //").map_or(line, |(code, _)| code).trim());
    code.filter(|line| !line.is_empty()).collect()
}

/// The block of Rust in the README that holds a text.
fn block(holding: &str) -> String {
    let readme = std::fs::read_to_string(here().join("../README.md")).expect("the README");
    let mut blocks = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    let found = blocks.find(|block| block.contains(holding));
    found.unwrap_or_else(|| panic!("the README shows no {holding}")).to_owned()
}

fn stands_in(block: &str, file: &str) {
    let source = std::fs::read_to_string(here().join(file)).expect("the crate's source");
    let (shown, source) = (lines(block), lines(&source));
    for line in &shown {
        assert!(source.contains(line), "`{line}` is not in {file}");
    }
}

#[test]
fn the_network_in_place_is_twelve_lines_of_a_crate() {
    let block = block("mobilec_macros::model!");
    stands_in(&block, "users/macros/src/lib.rs");
    assert_eq!(block.lines().take_while(|line| !line.starts_with("let")).count(), 12);
    let source = std::fs::read_to_string(here().join("users/macros/src/lib.rs")).expect("the crate's source");
    let network: Vec<&str> = lines(&block).into_iter().take(12).collect();
    assert!(lines(&source).windows(12).any(|window| window == network), "in this order");
}
