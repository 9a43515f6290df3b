// SPDX-License-Identifier: Apache-2.0

// usage: reader FILE.tar.xz DIR
// Unpacks it into DIR, as Rust programs do.
use std::{env, fs::File};

fn main() {
    let words: Vec<String> = env::args().collect();
    let file = File::open(&words[1]).expect("open");
    let stream = xz2::read::XzDecoder::new(file);
    tar::Archive::new(stream).unpack(&words[2]).expect("unpack");
}
