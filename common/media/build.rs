//! Compiles the compressor over libjpeg's interface, with the headers of the
//! libjpeg-turbo that turbojpeg-sys builds.

fn main() {
    println!("cargo::rerun-if-changed=native/compressor.c");
    // Without it the header of another libjpeg on this machine would be taken.
    let include = std::env::var("DEP_TURBOJPEG_INCLUDE").expect("turbojpeg-sys tells its headers");
    cc::Build::new()
        .file("native/compressor.c")
        .includes(include.split(',').filter(|folder| !folder.is_empty()))
        .extra_warnings(true)
        .compile("framegram_compressor");
}
