import Foundation

/// What must be settled before the numerical libraries are loaded: they read it from the environment.
enum Restart {
  /// Sets it, and starts the process again.
  ///
  /// Threads that wait in a loop for long take the processor from those they wait for, where other
  /// processes run: two jobs side by side took five times as long as one, and twice with this, which
  /// costs a job that is alone nothing.
  static func withShortWaits() {
    #if os(Linux)
      guard getenv("GOMP_SPINCOUNT") == nil, getenv("OMP_WAIT_POLICY") == nil,
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      else { return }
      setenv("GOMP_SPINCOUNT", "1000", 1)
      var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
      arguments.append(nil)
      // Returns only when it fails, and then the longer waits do.
      execv(path, arguments)
    #endif
  }
}
