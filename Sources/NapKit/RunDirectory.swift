import Foundation
public import NapReport
import NapTensor

/// The networks that a run has validated on its way, for whoever wants another one afterwards.
///
/// `points.json` lists them; each is a file `point-N.onnx` beside it, written before it is listed.
public final class RunDirectory {
  /// A network that is kept, and what it is worth.
  public struct Entry: Codable, Sendable, Equatable {
    /// The name of its file.
    public var file: String
    public var point: PruningReport.Point
    /// What the network was read for, by input, where its file leaves sizes open beyond the batch.
    var sizes: [String: [Int]]?
  }

  public let path: String
  public private(set) var entries: [Entry] = []

  /// A new, empty directory.
  ///
  /// - Throws: `UsageError` when there is something of that name already.
  public init(creating path: String) throws {
    self.path = path
    if let contents = try? FileManager.default.contentsOfDirectory(atPath: path) {
      guard contents.isEmpty else {
        throw UsageError(
          "the run directory '\(path)' is not empty", recovery: "give another one with --run")
      }
    }
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false)
    } catch {
      guard FileManager.default.fileExists(atPath: path) else {
        throw UsageError("cannot create the run directory '\(path)'", recovery: nil)
      }
    }
    try writeList()
  }

  /// The directory of an earlier run.
  ///
  /// - Throws: `UsageError` when it is none.
  public init(reading path: String) throws {
    self.path = path
    guard let data = FileManager.default.contents(atPath: Self.list(path)),
      let entries = try? JSONDecoder().decode([Entry].self, from: data)
    else {
      throw UsageError(
        "'\(path)' is not the directory of a run", recovery: "nap prune --run makes one")
    }
    self.entries = entries
  }

  private static func list(_ path: String) -> String { "\(path)/points.json" }

  private func writeList() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try AtomicFile.write(try encoder.encode(entries), to: Self.list(path))
  }

  func keep(_ network: Network, _ point: PruningReport.Point) throws {
    let entry = Entry(file: "point-\(entries.count + 1).onnx", point: point, sizes: network.sizes)
    try network.write(to: "\(path)/\(entry.file)")
    entries.append(entry)
    try writeList()
  }

  /// The most accurate network that is no larger than wanted, in shares of the original.
  public func best(macs: Double? = nil, parameters: Double? = nil) -> Entry? {
    entries.filter {
      $0.point.macs <= macs ?? .infinity && $0.point.parameters <= parameters ?? .infinity
    }.max {
      ($0.point.accuracy, -$0.point.macs, -$0.point.parameters)
        < ($1.point.accuracy, -$1.point.macs, -$1.point.parameters)
    }
  }

  /// - Throws: when there is no such network, or its name leads out of the directory.
  public func network(_ entry: Entry) throws -> Network {
    guard let file = FilePath.named(entry.file, in: path) else {
      throw UsageError("'\(Self.list(path))' lists '\(entry.file)', which is outside of '\(path)'")
    }
    return try Network(contentsOf: file, sizes: entry.sizes ?? [:])
  }
}
