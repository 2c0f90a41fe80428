import ArgumentParser
import Foundation
import NapKit
import NapTensor

/// Numbers with commas between them, such as `0.485,0.456,0.406`.
struct NumberList: ExpressibleByArgument {
  let numbers: [Float]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    numbers = parts.compactMap { Float($0.trimmingCharacters(in: .whitespaces)) }
    guard numbers.count == parts.count, numbers.allSatisfy(\.isFinite) else { return nil }
  }
}

/// A number, or a fraction such as `1/255`.
struct Scale: ExpressibleByArgument {
  let value: Double

  init?(argument: String) {
    let numbers = argument.split(separator: "/", omittingEmptySubsequences: false).map {
      Double($0)
    }
    guard let first = numbers.first ?? nil, numbers.count <= 2, let last = numbers.last ?? nil
    else { return nil }
    value = numbers.count == 1 ? first : first / last
  }
}

/// Where the data is and how it is prepared.
struct DataOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The data: a folder in CIFAR-10's binary or MNIST's IDX layout, of images by class or without labels, arrays in NumPy files (.npy, .npz, or a folder of them) named as the network's inputs, what else they hold being targets, or 'synthetic'.",
      discussion: "Default: the environment variable NAP_DATA.", valueName: "dir"),
    completion: .file())
  var data: String?

  @Option(
    help: ArgumentHelp(
      "How images become numbers: cifar10, imagenet, mnist, synthetic or plain.",
      discussion: "Default: what the network's file says, or what is usual for the kind of data."),
    completion: .presets)
  var preset: String?

  @Option(
    help: ArgumentHelp("Instead of the preset's: taken off every channel.", valueName: "numbers"))
  var mean: NumberList?

  @Option(
    help: ArgumentHelp(
      "Instead of the preset's: what channels are divided by.", valueName: "numbers"))
  var std: NumberList?

  @Option(
    help: ArgumentHelp(
      "Instead of 1/255: what bytes are multiplied by, before the mean is taken off.",
      valueName: "number"))
  var scale: Scale?

  @Option(
    help: ArgumentHelp(
      "Of folders: the shorter side of images, before the middle is cut out.", valueName: "pixels"))
  var resize: Int?

  @Option(
    help: ArgumentHelp(
      "Of folders: the side of what is cut out (default: what the network takes).",
      valueName: "pixels"))
  var crop: Int?

  @Option(
    help: "Where channels stand in the network's input: nchw or nhwc.",
    completion: .list(DataSource.Choices.layouts))
  var layout: String?

  @Option(
    help: "The channels that the network takes: rgb, bgr or grey.",
    completion: .list(DataSource.Choices.channelOrders))
  var channels: String?

  @Option(
    help: ArgumentHelp(
      "Names of folders, one a line, in the order of the network's outputs (default: sorted).",
      valueName: "file"), completion: .file())
  var classes: String?

  @Option(
    name: .customLong("task"), parsing: .singleValue,
    help: ArgumentHelp(
      "What outputs learn from the data's targets, where nap takes it for something else: \(DataSource.taskNames.map(\.name).joined(separator: ", ")); of one of several outputs, as output=task (may be repeated).",
      valueName: "task"),
    completion: .list(DataSource.taskNames.map(\.name)))
  var tasks: [String] = []

  func validate() throws {
    let known = DataSource.taskNames.map(\.name)
    for (_, name) in namedTasks where !known.contains(name) {
      let answer = noSuch("task", name, of: known)
      throw ValidationError("\(answer.problem); \(answer.recovery)")
    }
    for (option, list) in [("--mean", mean), ("--std", std)] {
      guard let count = list?.numbers.count, count != 1, count != 3 else { continue }
      throw ValidationError("\(option) needs 1 number or 3, not \(count)")
    }
  }

  /// By the name of the output, which is empty for all. Names of outputs may hold an equals sign, tasks none.
  private var namedTasks: [(output: String, task: String)] {
    tasks.map { text in
      guard let sign = text.lastIndex(of: "=") else { return ("", text) }
      return (String(text[..<sign]), String(text[text.index(after: sign)...]))
    }
  }

  /// - Parameter model: a network's file, which may say how images are prepared.
  func source(for model: String? = nil) throws -> DataSource {
    guard let path = data ?? ProcessInfo.processInfo.environment["NAP_DATA"] else {
      throw ValidationError("no data: give a folder or file with --data, or set NAP_DATA")
    }
    var choices = DataSource.Choices()
    choices.preset = preset
    choices.mean = mean?.numbers
    choices.standardDeviation = std?.numbers
    choices.scale = scale?.value
    (choices.resize, choices.crop) = (resize, crop)
    (choices.layout, choices.channels) = (layout, channels)
    choices.classes = classes
    var source = try DataSource(path: path, choices, network: model)
    for (output, task) in namedTasks { source.tasks[output] = task }
    return source
  }
}
