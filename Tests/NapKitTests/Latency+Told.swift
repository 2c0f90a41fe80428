import Foundation
import NapPruning

@testable import NapKit

extension Latency {
  /// A table of times that do not depend on how busy this machine is, and its file.
  ///
  /// - Parameter time: of a node at some size, in nanoseconds.
  static func told(
    of network: Network, in folder: URL, _ time: (LatencyTable.Entry) -> Double
  ) throws -> (table: Latency, path: String) {
    var result = try Latency(measuring: network)
    for (index, entry) in result.table.entries.enumerated() {
      result.table.entries[index].nanoseconds = time(entry)
    }
    let path = folder.appending(path: "table.csv").path
    try result.csv.write(toFile: path, atomically: true, encoding: .utf8)
    return (result, path)
  }
}
