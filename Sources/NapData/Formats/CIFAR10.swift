package import Foundation
import NapTensor

/// The binary layout of CIFAR-10: records of one label byte and 3,072 pixel bytes (R, G, B planes).
package struct CIFAR10: DatasetFormat, Dataset {
  package static let name = "CIFAR-10 binary"
  package static func preset(of folder: URL) -> String? { "cifar10" }

  private static let recordBytes = 3073
  private let files: [Data]
  private let labels: [UInt8]
  private let locations: [(file: Int32, record: Int32)]
  package let classNames: [String]
  package var imageShape: [Int] { [3, 32, 32] }
  package var count: Int { labels.count }

  package static func recognizes(_ folder: URL) -> Bool {
    ["test_batch.bin", "data_batch_1.bin"].contains {
      FileManager.default.fileExists(atPath: folder.appending(path: $0).path)
    }
  }

  package static func open(_ folder: URL, split: Split, for request: DataRequest)
    throws(DataError) -> any Dataset
  {
    try CIFAR10(folder, split: split)
  }

  init(_ folder: URL, split: Split) throws(DataError) {
    let names: [String]
    switch split {
    case .test: names = ["test_batch.bin"]
    case .train:
      names = (1...99).map { "data_batch_\($0).bin" }.filter {
        FileManager.default.fileExists(atPath: folder.appending(path: $0).path)
      }
    }
    guard let first = names.first,
      FileManager.default.fileExists(atPath: folder.appending(path: first).path)
    else { throw .noSplit(path: folder.path, split: split.rawValue) }
    let namesFile = folder.appending(path: "batches.meta.txt")
    let text = (try? String(contentsOf: namesFile, encoding: .utf8)) ?? ""
    let listed = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
    classNames = listed.isEmpty ? (0..<10).map { "class \($0)" } : listed
    var files: [Data] = []
    var labels: [UInt8] = []
    var locations: [(Int32, Int32)] = []
    for (f, name) in names.enumerated() {
      let url = folder.appending(path: name)
      let data: Data
      do {
        data = try Data(contentsOf: url, options: .mappedIfSafe)
      } catch {
        throw .unreadable(path: url.path, reason: error.localizedDescription)
      }
      let records = data.count / Self.recordBytes
      guard records > 0, data.count % Self.recordBytes == 0 else {
        throw .truncated(
          path: url.path, bytes: data.count, expected: (records + 1) * Self.recordBytes)
      }
      for record in 0..<records {
        let label = data[data.startIndex + record * Self.recordBytes]
        guard Int(label) < classNames.count else {
          throw .labelOutOfRange(path: url.path, label: Int(label), classes: classNames.count)
        }
        labels.append(label)
        locations.append((Int32(f), Int32(record)))
      }
      files.append(data)
    }
    self.files = files
    self.labels = labels
    self.locations = locations
  }

  package func label(at index: Int) -> Int { Int(labels[index]) }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    let (file, record) = locations[index]
    files[Int(file)].withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      let start = Int(record) * Self.recordBytes + 1
      memcpy(pixels, base + start, Self.recordBytes - 1)
    }
  }
}
