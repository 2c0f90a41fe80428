import Foundation
import NapTensor
import NapTestSupport
import Testing

@testable import NapData

/// How images become numbers.
@Suite struct PresetTests {
  static let others: [Preset] = {
    var all: [Preset] = []
    for layout in Preset.Layout.allCases {
      for channels in Preset.Channels.allCases {
        var preset = Preset(
          name: "own (a: b, c)", scale: 1, mean: [103.939, 116.779, 0.1], standardDeviation: [1e-7],
          resize: .pixels(292), crop: 256)
        (preset.layout, preset.channels) = (layout, channels)
        all.append(preset)
      }
    }
    return all
  }()

  @Test(arguments: Preset.all + others) func everyPresetIsReadAsItIsWritten(_ preset: Preset) {
    #expect(preset.isSound)
    #expect(Preset(preset.description) == preset)
  }

  @Test(arguments: [
    "", "imagenet", "x: mean 1", "x: mean a, std 1", "x: mean 0, std 0",
    "x: mean 0, std 1, resize 0",
    "x: mean 0, std 1, layout chwn", "x: mean 0, std 1, turn 4", "x: mean 0, std 1, resize 1/0",
  ])
  func whatIsNoPresetIsNone(_ text: String) { #expect(Preset(text) == nil) }

  @Test func scaledBytesAreDividedExactly() {
    let table = Preset(name: "", mean: [0], standardDeviation: [1]).table(channel: 0)
    #expect((0..<256).allSatisfy { table[$0] == Float($0) / 255 })
  }

  /// One image of 2 rows and 3 columns, all bytes different.
  private struct Counting: Dataset {
    let count = 1
    let classNames: [String] = []
    let imageShape = [3, 2, 3]
    func label(at index: Int) -> Int { 0 }
    func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
      for i in 0..<18 { pixels[i] = UInt8(i) }
    }
  }

  private func numbers(_ preset: Preset, augment: Bool = false, epoch: Int = 0) throws -> [Float] {
    let data: any Dataset = ArrangedImages(Counting(), for: preset) ?? Counting()
    let loader = Loader(
      dataset: data, preset: preset, batchSize: 1, shuffle: false, augment: augment,
      dropLast: false, seed: Seed(1))
    let batch = try #require(try loader.epoch(epoch).next())
    return Array(UnsafeBufferPointer(start: batch.inputs[0], count: data.imageShape.product))
  }

  @Test func channelsStandWhereTheNetworkTakesThem() throws {
    var preset = Preset(name: "", scale: 1, mean: [0, 100, 200], standardDeviation: [1])
    preset.channels = .bgr
    let planes = try numbers(preset)
    #expect(Array(planes[..<6]) == [12, 13, 14, 15, 16, 17])
    #expect(Array(planes[6..<12]) == [-94, -93, -92, -91, -90, -89])
    #expect(Array(planes[12...]) == [-200, -199, -198, -197, -196, -195])
    preset.layout = .nhwc
    let pixels = try numbers(preset)
    #expect(Array(pixels[..<6]) == [12, -94, -200, 13, -93, -199])
    preset.channels = .grey
    // 0.299 red + 0.587 green + 0.114 blue.
    let grey = try numbers(preset)
    #expect(grey == [5, 6, 7, 8, 9, 10])
  }

  /// The same shifts and sides in either layout.
  @Test func imagesAreVariedAlikeInBothLayouts() throws {
    var first = Preset(name: "", scale: 1, mean: [0], standardDeviation: [1])
    (first.cropPadding, first.flips) = (1, true)
    var last = first
    last.layout = .nhwc
    for epoch in 0..<6 {
      let (a, b) = (
        try numbers(first, augment: true, epoch: epoch),
        try numbers(last, augment: true, epoch: epoch)
      )
      for pixel in 0..<6 {
        for channel in 0..<3 { #expect(a[channel * 6 + pixel] == b[pixel * 3 + channel]) }
      }
    }
  }
}
