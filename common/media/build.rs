//! Compiles the compressor and the decompressor over libjpeg's interface, with the
//! headers of the libjpeg-turbo that turbojpeg-sys builds.

fn main() {
    let sources = ["native/compressor.c", "native/decompressor.c"];
    for source in sources {
        println!("cargo::rerun-if-changed={source}");
    }
    // Without it the header of another libjpeg on this machine would be taken.
    let include = std::env::var("DEP_TURBOJPEG_INCLUDE").expect("turbojpeg-sys tells its headers");
    cc::Build::new()
        .files(sources)
        .includes(include.split(',').filter(|folder| !folder.is_empty()))
        .extra_warnings(true)
        .compile("framegram_media_native");
}
