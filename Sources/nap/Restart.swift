import Foundation

/// What must be settled before the numerical libraries are initialized.
enum Runtime {
  /// They read the environment when they are loaded, so the process sets it and starts itself again.
  static func prepareProcess() {
    #if os(Linux)
      let missing = settings.filter { getenv($0.variable) == nil }
      guard !missing.isEmpty,
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      else { return }
      for (variable, value) in missing { setenv(variable, value, 1) }
      var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
      arguments.append(nil)
      // Returns only when it fails, and then the slower kernels and the longer waits do.
      execv(path, arguments)
    #endif
  }

  private static var settings: [(variable: String, value: String)] {
    var result: [(variable: String, value: String)] = []
    // Threads that wait in a loop for long take the processor from those they wait for, where other
    // processes run: two jobs side by side took five times as long as one, and twice with this, which
    // costs a job that is alone nothing.
    if getenv("OMP_WAIT_POLICY") == nil { result.append(("GOMP_SPINCOUNT", "1000")) }
    #if arch(x86_64)
      // OpenBLAS takes recent processors with AVX-512 for older ones without.
      if processorHasAVX512() { result.append(("OPENBLAS_CORETYPE", "SKYLAKEX")) }
    #endif
    return result
  }

  private static func processorHasAVX512() -> Bool {
    guard let file = FileHandle(forReadingAtPath: "/proc/cpuinfo"),
      let head = try? file.read(upToCount: 4096)
    else { return false }
    let flags = String(decoding: head, as: UTF8.self)
    return ["avx512f", "avx512dq", "avx512bw", "avx512vl"].allSatisfy(flags.contains)
  }
}
