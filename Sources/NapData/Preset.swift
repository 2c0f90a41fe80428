import NapTensor

/// How images become numbers, and how they are varied in training.
package struct Preset: Sendable, Hashable {
  /// Where the channels of a number stand in the network's input.
  package enum Layout: String, Sendable, CaseIterable {
    case nchw, nhwc
  }

  /// What channels the network takes; `grey` is one, of the three's brightness.
  package enum Channels: String, Sendable, CaseIterable {
    case rgb, bgr, grey
  }

  /// How images of any size are resized before the middle is cut out.
  package enum Resize: Sendable, Hashable {
    /// The shorter side, in pixels.
    case pixels(Int)
    /// As a fraction of what is cut out, such as 256/224.
    case times(Int, of: Int)
  }

  package var name: String
  /// By what bytes are multiplied before the mean is taken off.
  package var scale: Double = 1 / 255
  /// By channel of the network's input, after scaling; the last counts for all further ones.
  package var mean: [Float]
  package var standardDeviation: [Float]
  package var resize = Resize.times(1, of: 1)
  /// The side of what is cut out, in pixels; `nil` for what the network takes.
  package var crop: Int?
  package var layout = Layout.nchw
  package var channels = Channels.rgb
  /// Random crops from an image with this many black pixels added on every side; 0 for none.
  package var cropPadding = 0
  package var flips = false
  /// Whether training sees images in other ways than they are.
  package var varies: Bool { flips || cropPadding > 0 || leastArea < 1 }
  /// The least part of the area of a larger image that is shown in training; 1 for the same part always.
  package var leastArea: Float = 1

  private static let ofPhotos = Preset(
    name: "cifar10", mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225],
    cropPadding: 4, flips: true)

  package static let all: [Preset] = [
    ofPhotos,
    Preset(
      name: "imagenet", mean: ofPhotos.mean, standardDeviation: ofPhotos.standardDeviation,
      resize: .times(256, of: 224), flips: true, leastArea: 0.35),
    Preset(
      name: "synthetic", mean: [0.5], standardDeviation: [0.25], cropPadding: 2, flips: true),
    Preset(name: "mnist", mean: [0.1307], standardDeviation: [0.3081], cropPadding: 2),
    asTheyAre,
  ]

  /// Of what are numbers already.
  package static let asTheyAre = Preset(name: "plain", mean: [0], standardDeviation: [1])

  package static func named(_ name: String) -> Preset? { all.first { $0.name == name } }

  /// What it means, in a few words.
  package var summary: String {
    switch name {
    case "cifar10": "bytes / 255, mean and deviation of photographs"
    case "imagenet": "the same, of the middle of larger photographs: 224 of 256 pixels"
    case "synthetic": "bytes / 255, mean 0.5, deviation 0.25"
    case "mnist": "bytes / 255, mean and deviation of handwritten digits"
    case "plain": "bytes / 255"
    default: description
    }
  }

  /// The normalized value of every byte of a channel.
  func table(channel: Int) -> [Float] {
    let mean = mean[min(channel, mean.count - 1)]
    let deviation = standardDeviation[min(channel, standardDeviation.count - 1)]
    return (0..<256).map { (Float(Double($0) * scale) - mean) / deviation }
  }

  /// What is shown of an image in training; `nil` for all of it.
  func crop(seed: Seed, epoch: Int, index: Int) -> RandomCrop? {
    leastArea >= 1
      ? nil
      : RandomCrop(
        leastArea: leastArea, seed: seed.derived("crop").derived(epoch).derived(index))
  }

  /// How folders of images are brought to size.
  ///
  /// - Parameter shape: of an example as the network takes it; 0 for a size that is open.
  /// - Returns: `nil` where neither the network nor `crop` tells a size.
  package func fit(shape: [Int]) -> ImageFit? {
    let sizes = shape.count == 3 ? (layout == .nchw ? shape.dropFirst() : shape.dropLast()) : []
    let (height, width) = (crop ?? sizes.first ?? 0, crop ?? sizes.last ?? 0)
    guard height > 0, width > 0 else { return nil }
    switch resize {
    case .pixels(let side):
      return ImageFit(height: height, width: width, resize: .shorterSide(side))
    case .times(let times, let divisor):
      func larger(_ size: Int) -> Int {
        Int((Double(size * times) / Double(divisor)).rounded())
      }
      return ImageFit(
        height: height, width: width,
        resize: height == width
          ? .shorterSide(larger(height)) : .cover(height: larger(height), width: larger(width)))
    }
  }
}

// MARK: As text
extension Preset: CustomStringConvertible {
  /// Such as `imagenet: resize 256/224, scale 1/255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, channels rgb,
  /// layout nchw, flip`; `init(_:)` reads it again.
  package var description: String {
    func words(_ numbers: [Float]) -> String { numbers.map(\.description).joined(separator: " ") }
    var parts: [String] = []
    switch resize {
    case .pixels(let side): parts.append("resize \(side)")
    case .times(1, of: 1): break
    case .times(let times, let divisor): parts.append("resize \(times)/\(divisor)")
    }
    if let crop { parts.append("crop \(crop)") }
    parts.append("scale \(scale == 1 / 255 ? "1/255" : scale.description)")
    parts += ["mean \(words(mean))", "std \(words(standardDeviation))"]
    parts += ["channels \(channels.rawValue)", "layout \(layout.rawValue)"]
    if cropPadding > 0 { parts.append("shift \(cropPadding)") }
    if flips { parts.append("flip") }
    if leastArea < 1 { parts.append("area \(leastArea)") }
    return "\(name): \(parts.joined(separator: ", "))"
  }

  /// Reads a `description`; `nil` where it is none.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    self.init(name: String(text[..<colon]), mean: [], standardDeviation: [])
    for part in text[text.index(after: colon)...].split(separator: ",") {
      let words = part.split(separator: " ").map(String.init)
      guard let key = words.first, read(key, Array(words.dropFirst())) else { return nil }
    }
    guard !mean.isEmpty, !standardDeviation.isEmpty, isSound else { return nil }
  }

  private mutating func read(_ key: String, _ words: [String]) -> Bool {
    let numbers = words.compactMap(Float.init)
    guard let word = words.first else {
      flips = flips || key == "flip"
      return key == "flip"
    }
    let fraction = word.split(separator: "/").compactMap { Int($0) }
    switch key {
    case "resize" where fraction.count == 2: resize = .times(fraction[0], of: fraction[1])
    case "resize" where Int(word) != nil: resize = .pixels(Int(word) ?? 0)
    case "crop" where Int(word) != nil: crop = Int(word)
    case "scale" where word == "1/255": scale = 1 / 255
    case "scale" where Double(word) != nil: scale = Double(word) ?? 0
    case "mean" where numbers.count == words.count: mean = numbers
    case "std" where numbers.count == words.count: standardDeviation = numbers
    case "area" where numbers.count == 1: leastArea = numbers[0]
    case "shift" where Int(word) != nil: cropPadding = Int(word) ?? 0
    case "channels":
      guard let value = Channels(rawValue: word) else { return false }
      channels = value
    case "layout":
      guard let value = Layout(rawValue: word) else { return false }
      layout = value
    default: return false
    }
    return true
  }

  /// Whether all numbers can be computed with.
  package var isSound: Bool {
    let sizes: ClosedRange<Int> = 1...32_768
    let isResizable =
      switch resize {
      case .pixels(let side): sizes.contains(side)
      case .times(let times, let divisor): sizes.contains(times) && sizes.contains(divisor)
      }
    return isResizable && crop.map(sizes.contains) ?? true && (0...1024).contains(cropPadding)
      && leastArea > 0 && leastArea <= 1 && scale.isFinite && scale > 0
      && mean.allSatisfy(\.isFinite)
      && standardDeviation.allSatisfy { $0.isFinite && $0 > 0 }
  }
}
