import Foundation
import NapKit
import NapTensor

extension Destination {
  /// - Parameters:
  ///   - models: networks that are read; `nil` are none.
  ///   - others: other files and folders that are read.
  init(_ path: String, models: [String?], others: [String?] = [], bytes: Int = 0) throws {
    let inputs = models.compactMap { $0 }.flatMap(Network.files) + others.compactMap { $0 }
    try self.init(path, besides: inputs, bytes: bytes)
  }

  /// Writes what was made, elsewhere if need be, then reports it.
  ///
  /// - Parameter finish: done where it is in its place; else the job is not done, and can be resumed to
  ///   write it there.
  /// - Throws: when it is elsewhere, after `report`.
  func deliver(
    _ write: (String) throws -> Void, finish: () -> Void = {}, report: () throws -> Void
  ) throws {
    let (place, problem): (String, (any Error)?) = try deliver(write)
    if problem == nil { finish() }
    try report()
    if let problem {
      throw OutputError("\(problem); what was made is in '\(place)' instead")
    }
  }
}

struct OutputError: NapError {
  let problem: String
  let recovery: String?

  init(_ problem: String, recovery: String? = nil) {
    self.problem = problem
    self.recovery = recovery
  }
}
