internal import CNapBLAS
internal import CNapDNN
internal import Foundation

/// The library that linear algebra is done by.
package enum OpenBLAS {
  /// The processor that its kernels are for, such as `SkylakeX`.
  package static var core: String { String(cString: openblas_get_corename()) }

  /// Such as `0.3.21`.
  package static var version: String {
    let words = String(cString: openblas_get_config()).split(separator: " ")
    return words.count > 1 && words[0] == "OpenBLAS" ? String(words[1]) : "of unknown version"
  }

  /// Has it use AVX-512 where the processor can: older versions take recent processors for such as cannot.
  ///
  /// Nothing may be computed meanwhile. What the user has said (`OPENBLAS_CORETYPE`) holds.
  package static func chooseKernels() {
    #if arch(x86_64)
      let variable = "OPENBLAS_CORETYPE"
      guard getenv(variable) == nil, nap_winograd_supported() != 0,
        !["SkylakeX", "Cooperlake", "SapphireRapids"].contains(core),
        let forget = function("gotoblas_dynamic_quit"),
        let choose = function("gotoblas_dynamic_init")
      else { return }
      setenv(variable, "SKYLAKEX", 1)
      forget()
      choose()
      unsetenv(variable)
    #endif
  }

  /// One that builds for a single processor do not have.
  private static func function(_ name: String) -> (@convention(c) () -> Void)? {
    guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, name) else { return nil }
    return unsafeBitCast(symbol, to: (@convention(c) () -> Void).self)
  }
}
