public import Foundation
import NapData
import NapEngine
import NapGraph
import NapOutputs
public import NapReport
import NapTensor
import NapTraining

/// Says what was understood of a data set, and whether a network fits it.
public struct DataInspection: Sendable {
  public var source: DataSource
  /// What the outputs are, by name; what is left out is found out.
  public var outputs: [String: OutputChoice] = [:]

  public init(source: DataSource) { self.source = source }

  /// Examples whose numbers are looked at.
  private static let most = 512
  /// Images on the contact sheet.
  private static let pictures = 80

  /// - Parameter network: `nil` for a look at the data alone.
  /// - Returns: what was found, and a picture of some examples (PNG), class by class; none of what is no
  ///   images.
  /// - Throws: where there is no data that can be read.
  public func run(_ network: Network?) throws -> (report: DataReport, contactSheet: Data?) {
    var parts: [(name: String, data: any Dataset)] = []
    for split in Split.allCases {
      do {
        parts.append((split.rawValue, try source.open(split, for: network)))
      } catch DataError.noSplit {}
    }
    guard let first = parts.first?.data else {
      throw DataError.unrecognized(path: source.path)
    }
    let chosen = Self.chosen(first, most: Self.most)
    let (inputs, images) = try inputs(of: first, chosen)
    var report = DataReport(
      splits: parts.map(\.name), counts: parts.map(\.data.count), inputs: inputs,
      targets: try first.targets.indices.map { try Self.target($0, of: first, chosen) },
      classes: Self.classes(of: parts.map(\.data)), preparation: source.preset.name)
    if let network { judge(network, with: parts.map(\.data), &report) }
    return (report, sheet(of: images, first, chosen))
  }

  /// Evenly over the data, which may be sorted by class.
  private static func chosen(_ data: any Dataset, most: Int) -> [Int] {
    let count = min(data.count, most)
    return (0..<count).map { $0 * data.count / count }
  }

  /// What the network gets, and the first inputs of the first of them.
  private func inputs(of data: any Dataset, _ chosen: [Int]) throws -> (
    [DataReport.Array], Tensor
  ) {
    var sums = data.inputs.map { _ in Sums() }
    var images: [Float] = []
    let epoch = Loader(
      dataset: Subset(data, indices: chosen), preset: source.preset,
      batchSize: min(16, chosen.count),
      shuffle: false, augment: false, dropLast: false, seed: Seed(0)
    ).epoch(0)
    while let batch = try epoch.next() {
      for (k, field) in data.inputs.enumerated() {
        sums[k].add(UnsafeBufferPointer(start: batch.inputs[k], count: batch.count * field.count))
      }
      images += UnsafeBufferPointer(
        start: batch.inputs[0], count: batch.count * data.inputs[0].count)
    }
    let areNumbers = data.inputs[0].shape.count != 3 || data.isOfNumbers
    let reports = zip(data.inputs.indices, sums).map { k, sums in
      let field = data.inputs[k]
      return sums.report(
        field, kind: k == 0 && !areNumbers ? "images" : field.isInteger ? "integers" : "floats")
    }
    return (reports, Tensor(shape: [chosen.count] + data.inputs[0].shape, floats: images))
  }

  private static func target(_ k: Int, of data: any Dataset, _ chosen: [Int]) throws
    -> DataReport.Array
  {
    let field = data.targets[k]
    var (sums, numbers) = (Sums(), [Float](repeating: 0, count: field.count))
    for index in chosen {
      try data.copyTarget(k, of: index, into: &numbers)
      numbers.withUnsafeBufferPointer { sums.add($0) }
    }
    return sums.report(field, kind: field.isInteger ? "integers" : "floats")
  }

  private static func classes(of parts: [any Dataset]) -> [DataReport.Class] {
    let names = parts.map(\.classNames).max { $0.count < $1.count } ?? []
    var counts = [[Int]](
      repeating: [Int](repeating: 0, count: parts.count), count: names.count)
    for (k, part) in parts.enumerated() where !part.classNames.isEmpty {
      for index in 0..<part.count { counts[part.label(at: index)][k] += 1 }
    }
    return zip(names, counts).map { DataReport.Class(name: $0, counts: $1) }
  }

  /// Whether the network can be worked on with these data, by trying what every job begins with.
  private func judge(_ network: Network, with parts: [any Dataset], _ report: inout DataReport) {
    do {
      for data in parts {
        let recognition = try OutputRecognition(
          network.graph, data: data, preset: source.preset, said: outputs,
          tasks: source.chosenTasks,
          seed: Seed(0))
        if report.outputs.isEmpty {
          report.outputs = recognition.outputs.meanings.map {
            "output '\($0.name)': \($0.summary) (\($0.reason))"
          }
        }
        for remark in recognition.remarks where !report.remarks.contains(remark) {
          report.remarks.append(remark)
        }
      }
    } catch {
      report.misfit = "\(error)"
    }
  }

  /// Class by class.
  private func sheet(of images: Tensor, _ data: any Dataset, _ chosen: [Int]) -> Data? {
    guard images.shape.count == 4 else { return nil }
    let labels = chosen.map(data.label(at:))
    let kinds = min(Self.pictures, max(1, data.classNames.count))
    let each = max(1, Self.pictures / kinds)
    let groups = (0..<kinds).map { kind in
      Array(labels.indices.filter { labels[$0] == kind }.prefix(each))
    }
    return ContactSheet(images: images.pictures(of: source.preset), groups: groups, marked: [])
      .encoded()
  }
}

/// Least, largest, mean and deviation of many numbers.
private struct Sums {
  private var least = Double.infinity
  private var largest = -Double.infinity
  private var sum = 0.0
  private var squares = 0.0
  private var count = 0.0

  mutating func add(_ numbers: UnsafeBufferPointer<Float>) {
    for number in numbers {
      let number = Double(number)
      (least, largest) = (min(least, number), max(largest, number))
      sum += number
      squares += number * number
    }
    count += Double(numbers.count)
  }

  func report(_ field: Field, kind: String) -> DataReport.Array {
    let mean = sum / max(1, count)
    return DataReport.Array(
      name: field.name, shape: field.shape, kind: kind, least: least, largest: largest, mean: mean,
      deviation: max(0, squares / max(1, count) - mean * mean).squareRoot())
  }
}
