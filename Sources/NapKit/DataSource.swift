package import NapData
import NapTensor

/// Where images and labels come from, and how they are prepared.
public struct DataSource: Sendable {
  /// A folder in one of the layouts that are recognized.
  public var path: String
  package var preset: Preset

  /// The names of all presets.
  public static var presets: [String] { Preset.all.map(\.name) }

  /// - Throws: when there is no preset of that name.
  public init(path: String, preset name: String) throws {
    guard let preset = Preset.named(name) else {
      throw UsageError(noSuch: "preset", name, of: Self.presets)
    }
    self.path = path
    self.preset = preset
  }

  package func open(_ split: Split, imageShape: [Int]) throws -> any Dataset {
    let size = imageShape.count == 3 ? (height: imageShape[1], width: imageShape[2]) : nil
    return try Datasets.open(path, split: split, imageSize: size)
  }

  /// The test split where there is one.
  package func openTest(imageShape: [Int]) throws -> (any Dataset)? {
    do {
      return try open(.test, imageShape: imageShape)
    } catch DataError.noSplit {
      return nil
    }
  }
}

/// A wrong use of an option: exit status 2 on the command line.
package struct UsageError: RecoverableError, Equatable {
  package let problem: String
  package let recovery: String?

  package init(_ problem: String, recovery: String? = nil) {
    self.problem = problem
    self.recovery = recovery
  }

  /// A name that is none of those there are.
  package init(noSuch what: String, _ name: String, of names: [String]) {
    let answer = NapTensor.noSuch(what, name, of: names)
    (problem, recovery) = (answer.problem, answer.recovery)
  }
}
