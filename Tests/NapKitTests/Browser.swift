import Foundation

/// Chromium without a window and without a network, where it is installed.
struct Browser {
  struct Visit {
    /// As it is after loading.
    var document: String
    /// What the console says.
    var complaints: [String]
    /// Addresses beyond files, of what it tried to load.
    var requests: Set<String>
  }

  private let program: String

  init?() {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    let found = folders.flatMap { folder in
      ["chromium", "chromium-browser"].map { "\(folder)/\($0)" }
    }.first(where: FileManager.default.isExecutableFile)
    guard let found else { return nil }
    program = found
  }

  func open(_ page: URL, profile: URL) throws -> Visit {
    let netLog = profile.appendingPathExtension("json")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = [
      "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=\(profile.path)",
      "--enable-logging=stderr", "--log-net-log=\(netLog.path)", "--dump-dom",
      page.absoluteString,
    ]
    // Not pipes: the browser's children may hold them.
    let files = ["out", "err"].map { profile.appendingPathExtension($0) }
    for file in files { FileManager.default.createFile(atPath: file.path, contents: nil) }
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try FileHandle(forWritingTo: files[1])
    try process.run()
    process.waitUntilExit()
    let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    let log = String(decoding: try Data(contentsOf: netLog), as: UTF8.self)
    // Its own services ask for Google's, whatever it is told.
    let requests = log.matches(of: /"url":"(https?:\/\/[^"]+)"/).map { String($0.1) }
      .filter { !$0.contains("google") && !$0.contains("gvt1.com") }
    return Visit(
      document: texts[0],
      complaints: texts[1].split(separator: "\n").filter { $0.contains("CONSOLE") }.map(
        String.init),
      requests: Set(requests))
  }
}
