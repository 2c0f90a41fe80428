/// What nap finds of the machine it runs on.
public struct DoctorReport: Report, Sendable, Equatable {
  public struct Fact: Codable, Sendable, Equatable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public struct Finding: Codable, Sendable, Equatable {
    public var problem: String
    /// What helps, a line to type where there is one.
    public var recovery: String
    /// Whether results are wrong or nap cannot work; otherwise it is slower than it could be.
    public var isWrong: Bool

    public init(_ problem: String, recovery: String, isWrong: Bool) {
      self.problem = problem
      self.recovery = recovery
      self.isWrong = isWrong
    }

    enum CodingKeys: String, CodingKey {
      case problem, recovery
      case isWrong = "is_wrong"
    }
  }

  /// It tells that itself.
  public static let isComputed = false

  public var facts: [Fact]
  public var findings: [Finding]

  public init(facts: [Fact], findings: [Finding]) {
    self.facts = facts
    self.findings = findings
  }

  /// Whether nothing is wrong.
  public var isWell: Bool { !findings.contains { $0.isWrong } }

  public func renderedAsText() -> String {
    let width = facts.map(\.name.count).max() ?? 0
    let lines = facts.map {
      $0.name + String(repeating: " ", count: width + 2 - $0.name.count) + $0.value
    }
    let found = findings.map {
      "\($0.isWrong ? "WRONG" : "slower"): \($0.problem); \($0.recovery)"
    }
    return (lines + [""] + found + (isWell ? ["Nothing is wrong."] : [])).joined(separator: "\n")
  }
}
