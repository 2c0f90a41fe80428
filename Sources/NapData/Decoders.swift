internal import CNapPNG

/// The libraries that images and archives are decoded by.
package enum Decoders {
  /// Names with versions, of those that tell.
  package static var versions: [String] {
    [
      "libpng \(String(cString: png_get_libpng_ver(nil)))",
      "libwebp \(ImageKind.webPVersion)",
      "zlib \(String(cString: zlibVersion()))",
    ]
  }
}
