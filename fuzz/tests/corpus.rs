//! Each target over its corpus: what the fuzzer once took for interesting, or found, stays true.

use std::fs;
use std::path::Path;

fn all_of(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&directory).expect("the corpus is there") {
        let path = entry.expect("the corpus can be read").path();
        eprintln!("{}", path.display());
        check(&fs::read(&path).expect("the file can be read"));
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} has {count} files");
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            all_of(stringify!($target), postback_fuzz::$target::check);
        })*
    };
}

targets! {
    body_template client_address http money proxy_protocol query_string short_code spool_record url_template
}
