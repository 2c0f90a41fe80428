import Foundation
package import NapData
import NapGraph
import NapONNX
import NapOutputs
import NapTensor

/// Where images and labels come from, and how they are prepared.
public struct DataSource: Sendable {
  /// A folder or file in one of the layouts that are recognized; of a program's own examples, what to call
  /// them.
  public var path: String
  /// What the program brings itself, by split.
  private var examples: [Split: any ExampleSource]?
  package var preset: Preset
  /// What outputs learn from the data's targets, by name, where nap is not to find it out; the empty name is
  /// for all. One of `taskNames`.
  public var tasks: [String: String] = [:]
  /// The same, of the program's own: see `setTask(_:of:)`.
  var ownTasks: [String: any Task.Type] = [:]

  /// What outputs learn, as far as somebody says it, by name; the empty name is for all.
  var chosenTasks: [String: TaskRecognition.Choice] {
    var result = tasks.compactMapValues { name -> TaskRecognition.Choice? in
      name == TaskRecognition.imitation
        ? .imitation : allTasks.first { $0.name == name }.map { .task($0) }
    }
    for (output, type) in ownTasks { result[output] = .task(type) }
    return result
  }

  /// Names and summaries of the tasks.
  public static var taskNames: [(name: String, summary: String)] {
    allTasks.map { ($0.name, $0.summary) }
      + [(TaskRecognition.imitation, "what the network says is kept, whatever the targets are")]
  }
  /// Who says so, such as `by the data's kind`.
  package var origin = "as asked for"
  /// What the outputs of the network stand for, by number; empty for what the data tell.
  package var classes: [String] = []

  /// The names of all presets.
  public static var presets: [String] { Preset.all.map(\.name) }

  /// - Throws: when there is no preset of that name.
  public init(path: String, preset name: String) throws {
    self.path = path
    preset = try Self.preset(name)
  }

  /// What a user says of the preparation; what is `nil`, somebody else says.
  public struct Choices: Sendable {
    public var preset: String?
    /// By channel, after scaling.
    public var mean: [Float]?
    public var standardDeviation: [Float]?
    public var scale: Double?
    /// Pixels of the shorter side, before the middle is cut out.
    public var resize: Int?
    /// Pixels of a side of what is cut out.
    public var crop: Int?
    /// One of `layouts`.
    public var layout: String?
    /// One of `channelOrders`.
    public var channels: String?
    /// A file of the names of classes, one a line, in the order of the network's outputs.
    public var classes: String?

    public init() {}

    public static var layouts: [String] { Preset.Layout.allCases.map(\.rawValue) }
    public static var channelOrders: [String] { Preset.Channels.allCases.map(\.rawValue) }
  }

  /// Finds out how images become numbers: as is said here, as the network's file says, or as is usual for the
  /// kind of data.
  ///
  /// - Parameters:
  ///   - path: a folder or file.
  ///   - choices: what is said here.
  ///   - network: the path of its file, where there is one.
  /// - Throws: `UsageError` where nobody says it.
  public init(path: String, _ choices: Choices, network: String? = nil) throws {
    self.path = path
    if let name = choices.preset {
      preset = try Self.preset(name)
    } else if let text = network.flatMap(Self.preparation) {
      guard let told = Preset(text) else {
        throw UsageError(
          "the network's file says '\(text)' of its preparation, which nap does not understand",
          recovery: "say it with --preset")
      }
      (preset, origin) = (told, "by the network's file")
    } else if let name = Datasets.preset(of: path) {
      (preset, origin) = (try Self.preset(name), "by the data's kind")
    } else if choices.mean != nil || choices.standardDeviation != nil || choices.scale != nil {
      preset = try Self.preset("plain")
    } else if !FileManager.default.fileExists(atPath: path) {
      throw DataError.missing(path: path)
    } else {
      throw Self.question
    }
    let usual = preset
    preset.mean = choices.mean ?? preset.mean
    preset.standardDeviation = choices.standardDeviation ?? preset.standardDeviation
    preset.scale = choices.scale ?? preset.scale
    preset.crop = choices.crop ?? preset.crop
    preset.resize = choices.resize.map { .pixels($0) } ?? preset.resize
    preset.layout = try choices.layout.map { try Self.value("layout", $0) } ?? preset.layout
    preset.channels = try choices.channels.map { try Self.value("order", $0) } ?? preset.channels
    if preset != usual {
      origin = choices.preset == nil ? "\(origin), changed by options" : origin
      preset.name = preset.name.hasPrefix("own") ? preset.name : "own (\(preset.name))"
    }
    guard preset.isSound else {
      throw UsageError(
        "no images can be prepared as '\(preset)'",
        recovery: "scale and deviations must be positive, sizes lie between 1 and 32768")
    }
    if let file = choices.classes { classes = try Self.names(in: file) }
  }

  /// Examples that the program brings itself.
  ///
  /// - Parameters:
  ///   - training: what is learned from, and held out from.
  ///   - test: what only reports are about; without, some of the training examples are held out.
  ///   - name: what to call them in reports and errors.
  public init(
    _ training: any ExampleSource, test: (any ExampleSource)? = nil, name: String = "the examples"
  ) {
    path = name
    preset = .asTheyAre
    examples = [.train: training]
    examples?[.test] = test
  }

  /// - Parameter network: what the examples are for; `nil` where there is none yet.
  package func open(_ split: Split, for network: Network?) throws -> any Dataset {
    var request = DataRequest()
    let shape = network?.imageShape ?? []
    if let graph = network?.graph {
      request.inputs = graph.inputs.map { (graph.name(of: $0.value), $0.elementType != .float32) }
      request.outputs = graph.outputs.map { graph.name(of: $0.value) }
    }
    return try open(split, request, shape: shape)
  }

  /// - Parameter shape: of an example of the first input, as the network takes it; empty where that is not known.
  package func open(_ split: Split, _ request: DataRequest, shape: [Int] = []) throws -> any Dataset
  {
    var request = request
    (request.fit, request.classes) = (preset.fit(shape: shape), classes)
    var data = try dataset(split, request)
    // Arrays may have the network's layout already.
    if data.imageShape != shape { data = ArrangedImages(data, for: preset) ?? data }
    if tasks[""] == TaskRecognition.imitation { return Unlabelled(data) }
    return tasks.values.contains(NextToken.name) && data.targets.isEmpty
      ? try NextTokens(data) : data
  }

  private func dataset(_ split: Split, _ request: DataRequest) throws -> any Dataset {
    guard let examples else { return try Datasets.open(path, split: split, for: request) }
    guard let source = examples[split] else {
      throw DataError.noSplit(path: path, split: split.rawValue)
    }
    return try SourceDataset(source, for: request)
  }

  /// The test split where there is one.
  package func openTest(for network: Network) throws -> (any Dataset)? {
    do {
      return try open(.test, for: network)
    } catch DataError.noSplit {
      return nil
    }
  }

  /// Says once how images become numbers, and what of a folder is left out.
  package func announce(_ data: any Dataset, _ progress: ProgressHandler) throws {
    try progress(
      WorkProgress(stage: "planning", message: "preparation: \(preparation(of: data))"))
    // Of folders, whose images come in any size.
    for split in data.isOfAnySize ? Split.allCases : [] {
      let part = try? dataset(
        split, DataRequest(fit: preset.fit(shape: data.imageShape), classes: classes))
      guard let remark = (part as? ImageFolder)?.remark else { continue }
      try progress(WorkProgress(stage: "planning", message: remark))
    }
  }

  /// How images become numbers, and who says so.
  package func preparation(of data: any Dataset) -> String {
    data.isOfNumbers ? "none, the data are numbers already" : "\(preset), \(origin)"
  }
}

// MARK: Who says it
extension DataSource {
  /// The key of a network's metadata that says how its images are prepared.
  package static let key = "nap.preparation"

  private static func preset(_ name: String) throws -> Preset {
    guard let preset = Preset.named(name) else {
      throw UsageError(noSuch: "preset", name, of: presets)
    }
    return preset
  }

  private static func value<Value: RawRepresentable & CaseIterable>(_ kind: String, _ name: String)
    throws -> Value where Value.RawValue == String
  {
    guard let value = Value(rawValue: name) else {
      throw UsageError(noSuch: kind, name, of: Value.allCases.map(\.rawValue))
    }
    return value
  }

  /// What a network's file says; `nil` where it does not, or cannot be read, which is said elsewhere.
  private static func preparation(of network: String) -> String? {
    (try? ONNXFile(network))?.metadata.first { $0.key == key }?.value
  }

  private static func names(in file: String) throws -> [String] {
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      throw UsageError("the classes '\(file)' cannot be read", recovery: "give a file of text")
    }
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    while lines.last?.isEmpty == true { lines.removeLast() }
    guard !lines.isEmpty, !lines.contains("") else {
      throw UsageError(
        "'\(file)' has empty lines", recovery: "give the name of one class on every line")
    }
    if let twice = Dictionary(grouping: lines, by: { $0 }).first(where: { $0.value.count > 1 })?.key
    {
      throw UsageError("'\(file)' names the class '\(twice)' twice")
    }
    return lines
  }

  private static var question: UsageError {
    UsageError(
      "how do these images become the numbers that the network was trained on? Neither its file nor the data say",
      recovery: "give --preset: "
        + Preset.all.map { "\($0.name) (\($0.summary))" }.joined(separator: ", ")
        + "; or --scale, --mean and --std")
  }
}

extension Graph {
  /// Says in the file's metadata how images were prepared for it; not of numbers, which came as they were.
  mutating func note(_ source: DataSource, of data: any Dataset) {
    guard !data.isOfNumbers else { return }
    note([(DataSource.key, source.preset.description)])
  }
}

/// A wrong use of an option: exit status 2 on the command line.
public struct UsageError: NapError, Equatable {
  public let problem: String
  public let recovery: String?
  public var isFinal: Bool { true }

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
