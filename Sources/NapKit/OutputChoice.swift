import NapOutputs
import NapTensor

/// What the user says an output of a network is, such as `numbers`, `logits:1` or `numbers*2`.
public struct OutputChoice: Sendable, Hashable, CustomStringConvertible {
  /// One of `kinds`; `nil` leaves it to nap.
  public var kind: String?
  /// The axis along which meanings differ, the batch counted as axis 0; `nil` leaves it to nap.
  public var axis: Int?
  /// How much the output counts beside others.
  public var share = 1.0

  /// Names and summaries of the kinds of outputs.
  public static var kinds: [(name: String, summary: String)] {
    allOutputKinds.map { ($0.name, $0.summary) }
  }

  public init(kind: String? = nil, axis: Int? = nil, share: Double = 1) {
    (self.kind, self.axis, self.share) = (kind, axis, share)
  }

  /// `KIND`, `KIND:AXIS`, `KIND*SHARE` or `KIND:AXIS*SHARE`; `auto` for a kind that nap finds out.
  ///
  /// - Throws: `UsageError` when it has another form.
  public init(_ text: String) throws {
    let parts = text.split(separator: "*", omittingEmptySubsequences: false)
    let names = parts[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let share = parts.count == 2 ? Double(parts[1]) : 1
    let axis = names.count == 2 ? Int(names[1]) : nil
    guard parts.count <= 2, names.count <= 2, let share, share > 0, share.isFinite,
      names.count == 1 || axis ?? 0 > 0
    else {
      throw UsageError(
        "'\(text)' is not of the form KIND, KIND:AXIS or KIND:AXIS*SHARE",
        recovery: "such as numbers, logits:1 or numbers*2")
    }
    let known = Self.kinds.map(\.name)
    guard names[0] == "auto" || known.contains(names[0]) else {
      throw UsageError(noSuch: "kind of output", names[0], of: ["auto"] + known)
    }
    self.init(kind: names[0] == "auto" ? nil : names[0], axis: axis, share: share)
  }

  public var description: String {
    (kind ?? "auto") + (axis.map { ":\($0)" } ?? "") + (share == 1 ? "" : "*\(share)")
  }

  var type: (any OutputKind.Type)? { allOutputKinds.first { $0.name == kind } }

  /// Whether what the network ends with has to stay for the choice to hold: it is about the numbers that
  /// come out, not about the logits before.
  var isAboutEnds: Bool {
    kind.map { $0 != Logits.name && $0 != TwoClassLogits.name } ?? false
  }
}
