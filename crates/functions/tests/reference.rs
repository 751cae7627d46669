//! The page of functions in the documentation is what the functions say of themselves.

use std::{env, fs, path::Path};

#[test]
fn the_page_of_functions_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
    let page = functions::reference::page();
    if env::var_os("MILLSTREAM_UPDATE").is_some() {
        fs::write(&path, page).expect("writes");
        return;
    }
    let written = fs::read_to_string(&path).expect("reads");
    let differs = page.lines().zip(written.lines()).find(|(want, have)| want != have);
    let how = "MILLSTREAM_UPDATE=1 cargo test -p functions --test reference writes it";
    assert!(page == written, "docs/functions.md is stale, first at {differs:?}; {how}");
}
