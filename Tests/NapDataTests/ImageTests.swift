import Foundation
import NapTensor
import NapTestSupport
import Testing

@testable import NapData

/// Decoding and resizing of images.
@Suite struct ImageTests {
  private func withFile<Result>(_ bytes: Data, _ body: (String) throws -> Result) throws -> Result {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "image").path
    try bytes.write(to: URL(fileURLWithPath: path))
    return try body(path)
  }

  private static func little(_ value: Int, _ bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// 2 x 2 pixels in rows from the top: red, green, blue, white.
  private static func bitmap(bits: Int, isTopDown: Bool) -> Data {
    let colors: [[UInt8]] = [[0, 0, 255], [0, 255, 0], [255, 0, 0], [255, 255, 255]]
    let palette: [UInt8] = bits == 8 ? colors.flatMap { $0 + [0] } : []
    let rows = [0, 2].map { first -> [UInt8] in
      var pixels: [UInt8] = []
      for index in first..<first + 2 {
        pixels += bits == 8 ? [UInt8(index)] : colors[index]
        if bits == 32 { pixels.append(7) }
      }
      while pixels.count % 4 != 0 { pixels.append(0) }
      return pixels
    }
    let start = 54 + palette.count
    var bytes = Array("BM".utf8)
    let fields = [
      (0, 4), (0, 4), (start, 4), (40, 4), (2, 4), (isTopDown ? -2 : 2, 4), (1, 2), (bits, 2),
      (0, 4), (0, 4), (0, 4), (0, 4), (bits == 8 ? 4 : 0, 4), (0, 4),
    ]
    for (value, count) in fields { bytes += little(value, count) }
    bytes += palette
    for row in isTopDown ? rows : Array(rows.reversed()) { bytes += row }
    return Data(bytes)
  }

  @Test(arguments: [8, 24, 32], [false, true])
  func bitmapsAreRead(_ bits: Int, _ isTopDown: Bool) throws {
    let file = Self.bitmap(bits: bits, isTopDown: isTopDown)
    let image = try withFile(file) { try DecodedImage(path: $0) }
    #expect(image.pixels == [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
    for length in 0..<file.count {
      #expect(throws: DataError.self, "\(length) bytes") {
        try withFile(file.prefix(length)) { try DecodedImage(path: $0) }
      }
    }
  }

  /// A byte that is not what it was gives another image or an error, never a trap.
  @Test func damagedFilesAreNoTraps() throws {
    let files = [FormatTests.png] + [8, 24, 32].map { Self.bitmap(bits: $0, isTopDown: false) }
    for file in files {
      for index in file.indices {
        for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
          var damaged = file
          damaged[index] = value
          do {
            let image = try withFile(damaged) { try DecodedImage(path: $0) }
            #expect(image.pixels.count == image.width * image.height * 3)
          } catch is DataError {}
        }
      }
    }
  }

  @Test func sizesAreCheckedBeforeMemoryIsTaken() throws {
    var file = Self.bitmap(bits: 24, isTopDown: false)
    file.replaceSubrange(18..<26, with: [0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f])
    let error = #expect(throws: DataError.self) {
      try withFile(file) { try DecodedImage(path: $0) }
    }
    #expect(error?.problem.contains("2147483647") == true)
  }

  /// All eight orientations of one image, by the corner that was red when it was upright.
  @Test func photographsAreTurnedUpright() {
    // 3 x 2 pixels, numbered by rows.
    let image = DecodedImage(width: 3, height: 2, pixels: (0..<6).flatMap { [$0, $0, $0] })
    let expected: [Int: [UInt8]] = [
      1: [0, 1, 2, 3, 4, 5], 2: [2, 1, 0, 5, 4, 3], 3: [5, 4, 3, 2, 1, 0], 4: [3, 4, 5, 0, 1, 2],
      5: [0, 3, 1, 4, 2, 5], 6: [3, 0, 4, 1, 5, 2], 7: [5, 2, 4, 1, 3, 0], 8: [2, 5, 1, 4, 0, 3],
    ]
    for (orientation, pixels) in expected {
      var turned = image
      turned.turn(orientation)
      #expect(stride(from: 0, to: 18, by: 3).map { turned.pixels[$0] } == pixels, "\(orientation)")
      #expect(turned.width == (orientation < 5 ? 3 : 2))
    }
  }

  /// By torchvision's `Resize`, of width and height.
  @Test(arguments: [
    (500, 375, 341, 256), (375, 500, 256, 341), (256, 256, 256, 256), (1023, 301, 870, 256),
    (100, 80, 320, 256),
  ])
  func longerSidesAreRoundedDown(_ width: Int, _ height: Int, _ newWidth: Int, _ newHeight: Int) {
    let fit = ImageFit(height: 224, width: 224, resize: .shorterSide(256))
    let size = fit.size(ofWidth: width, height: height)
    #expect(size.width == newWidth && size.height == newHeight)
  }

  /// What is cut out is always there, unless a smaller size was asked for.
  @Test func whatIsCutOutIsCovered() {
    for (height, width) in [(224, 224), (32, 48), (48, 32), (1, 7)] {
      let fit = ImageFit(height: height, width: width)
      for (w, h) in [(1, 1), (640, 427), (427, 640), (33, 32), (5, 1000), (48, 32)] {
        let size = fit.size(ofWidth: w, height: h)
        #expect(size.width >= width && size.height >= height, "\(w) x \(h) to \(width) x \(height)")
        #expect(size.width == width || size.height == height || size.width - width <= 1)
      }
    }
  }

  /// Fine stripes become grey; without a filter that grows they stay stripes.
  @Test func shrinkingSkipsNothing() {
    let stripes = (0..<64).flatMap { _ in
      (0..<64).flatMap { x in [UInt8](repeating: x % 2 == 0 ? 0 : 255, count: 3) }
    }
    let small = DecodedImage(width: 64, height: 64, pixels: stripes).resized(width: 16, height: 16)
    // Away from the edges.
    for x in 1..<15 { #expect(abs(Int(small.pixels[(8 * 16 + x) * 3]) - 127) <= 1) }
  }

  @Test func smallerImagesLieOnBlack() {
    let image = DecodedImage(width: 2, height: 2, pixels: [UInt8](repeating: 9, count: 12))
    var planes = [UInt8](repeating: 7, count: 3 * 16)
    image.writePlanes(ImageFit(height: 4, width: 4, resize: .shorterSide(2)), into: &planes)
    #expect(Array(planes[..<16]) == [0, 0, 0, 0, 0, 9, 9, 0, 0, 9, 9, 0, 0, 0, 0, 0])
  }

  /// As torchvision draws them: within the image, of the area and shape that are asked for; and the same ones
  /// again, which differ by epoch.
  @Test(arguments: [(500, 375), (375, 500), (64, 64), (1000, 20), (1, 1)])
  func cropsLieInTheImage(_ width: Int, _ height: Int) {
    var areas: [Double] = []
    for index in 0..<400 {
      let crop = RandomCrop(leastArea: 0.35, seed: Seed(1).derived(index))
      let box = crop.box(width: width, height: height)
      #expect(box == crop.box(width: width, height: height))
      #expect(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0)
      #expect(box.x + box.width <= width && box.y + box.height <= height)
      areas.append(Double(box.width * box.height) / Double(width * height))
      guard min(width, height) > 60 else { continue }
      let ratio = Double(box.width) / Double(box.height)
      #expect(areas[index] > 0.34 && ratio > 0.73 && ratio < 1.37)
    }
    if width == 64 { #expect((areas.min() ?? 1) < 0.4 && (areas.max() ?? 0) > 0.9) }
  }

  @Test func trainingShowsPartsOfPhotographs() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var picture = PNGFile(width: 64, height: 48)
    for x in 0..<64 { picture.fill(x: x..<x + 1, y: 0..<48, (UInt8(x * 4), 0, 0)) }
    try #require(picture.encoded()).write(to: folder.appending(path: "a.png"))
    let preset = try #require(Preset.named("imagenet"))
    let data = try Datasets.open(
      folder.path, split: .train, for: DataRequest(fit: preset.fit(shape: [3, 32, 32])))
    func red(_ epoch: Int, augment: Bool) throws -> [Float] {
      let batches = Loader(
        dataset: data, preset: preset, batchSize: 1, shuffle: false, augment: augment,
        dropLast: false, seed: Seed(1)
      ).epoch(epoch)
      let batch = try #require(try batches.next())
      return Array(UnsafeBufferPointer(start: batch.inputs[0], count: 32))
    }
    let plain = try red(0, augment: false)
    let (first, again, second) = (
      try red(0, augment: true), try red(0, augment: true), try red(2, augment: true)
    )
    #expect(first == again && first != second && first != plain)
    // Still a ramp, in one direction or the other.
    let steps = zip(first, first.dropFirst()).map { $1 - $0 }
    #expect(steps.allSatisfy { $0 >= 0 } || steps.allSatisfy { $0 <= 0 })
  }
}
