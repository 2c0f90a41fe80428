import Foundation
package import NapGraph
package import NapTensor

/// Images brought to another size by taking the nearest pixel or by interpolation.
package struct Resize: Operator {
  package static let name = "Resize"
  package static let otherNames = ["Upsample"]

  package enum Mode: String, Codable, Sendable, Hashable, CaseIterable {
    case nearest, linear, cubic
  }
  /// How a pixel of the output corresponds to a point of the input.
  package enum Coordinates: String, Codable, Sendable, Hashable, CaseIterable {
    case halfPixel = "half_pixel"
    case symmetricHalfPixel = "half_pixel_symmetric"
    case pytorchHalfPixel = "pytorch_half_pixel"
    case alignCorners = "align_corners"
    case asymmetric
  }
  package enum Rounding: String, Codable, Sendable, Hashable, CaseIterable {
    case roundPreferFloor = "round_prefer_floor"
    case roundPreferCeil = "round_prefer_ceil"
    case floor, ceil
  }
  package enum Target: Codable, Sendable, Hashable {
    case sizes([Int])
    case scales([Float])
  }

  /// The axes that are resized.
  package var axes: [Int]
  package var target: Target
  package var mode: Mode
  package var coordinates: Coordinates
  package var rounding: Rounding
  /// The parameter `a` of cubic interpolation.
  package var cubic: Float

  package init(
    axes: [Int], to target: Target, mode: Mode = .nearest, coordinates: Coordinates = .halfPixel,
    rounding: Rounding = .roundPreferFloor, cubic: Float = -0.75
  ) {
    self.axes = axes
    self.target = target
    self.mode = mode
    self.coordinates = coordinates
    self.rounding = rounding
    self.cubic = cubic
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let shape = try node.shape(ofInput: 0)
    let isOld = node.operatorType == "Upsample" || node.opset < 11
    func choice<C: RawRepresentable<String>>(_ key: String, _ fallback: C) throws(OperatorError)
      -> C
    {
      let value = try node.string(key, default: fallback.rawValue)
      guard let choice = C(rawValue: value) else {
        throw OperatorError("attribute '\(key)' is '\(value)', which is not supported")
      }
      return choice
    }
    for key in ["antialias", "exclude_outside"] where try node.int(key, default: 0) != 0 {
      throw OperatorError("attribute '\(key)' is not supported")
    }
    guard try node.string("keep_aspect_ratio_policy", default: "stretch") == "stretch" else {
      throw OperatorError("attribute 'keep_aspect_ratio_policy' is not supported")
    }
    let mode =
      try node.string("mode", default: "nearest") == "bilinear"
      ? Mode.linear : try choice("mode", Mode.nearest)
    let named = try (try node.ints("axes") ?? Array(shape.indices)).axes(ofRank: shape.count)
    var resize = Resize(
      axes: named, to: .scales([]), mode: mode,
      coordinates: isOld
        ? .asymmetric : try choice("coordinate_transformation_mode", Coordinates.halfPixel),
      rounding: isOld ? .floor : try choice("nearest_mode", Rounding.roundPreferFloor),
      cubic: try node.float("cubic_coeff_a", default: -0.75))
    let scales = try node.constant(ofInput: isOld ? 1 : 2, "the scales")
    if !isOld, let sizes = try node.ints("sizes", orInput: 3), !sizes.isEmpty {
      guard sizes.count == named.count else {
        throw OperatorError("\(sizes.count) sizes do not fit \(named.count) axes")
      }
      // Axes that keep their size, such as the batch, are left alone whatever it is.
      let changed = named.indices.filter { sizes[$0] != shape[named[$0]] }
      resize.axes = changed.map { named[$0] }
      resize.target = .sizes(changed.map { sizes[$0] })
    } else if let values = scales?.floats ?? floats("scales", of: node), !values.isEmpty {
      guard values.count == named.count else {
        throw OperatorError("\(values.count) scales do not fit \(named.count) axes")
      }
      let changed = named.indices.filter { values[$0] != 1 }
      resize.axes = changed.map { named[$0] }
      resize.target = .scales(changed.map { values[$0] })
      if isOld { resize.rounding = try oldRounding(changed.map { values[$0] }, of: node) }
    } else {
      throw OperatorError("it has neither sizes nor scales")
    }
    if resize.axes.isEmpty { return try ImportedOperator(Identity(), of: node) }
    return try ImportedOperator(resize, of: node)
  }

  /// Before opset 11 nothing is said of rounding. ONNX Runtime takes the next pixel along axes that
  /// shrink, and the last one along those that grow.
  private static func oldRounding(_ scales: [Float], of node: NodeDescription)
    throws(OperatorError) -> Rounding
  {
    let shrinking = scales.filter { $0 < 1 }
    guard let first = shrinking.first else { return .floor }
    guard node.operatorType != "Upsample" else {
      throw OperatorError(
        "a scale of \(first) is impossible, as it only enlarges",
        recovery: "export the model with opset 11 or later")
    }
    let isNearest = try node.string("mode", default: "nearest") == "nearest"
    guard shrinking.count == scales.count || !isNearest else {
      throw OperatorError(
        "it takes nearest pixels along axes of which some shrink and some grow",
        recovery: "export the model with opset 11 or later, which says how they are rounded")
    }
    return isNearest ? .ceil : .floor
  }

  /// `Upsample` of opset 7 has its scales as an attribute.
  private static func floats(_ key: String, of node: NodeDescription) -> [Float]? {
    if case .floats(let values)? = node.attributes[key] { values } else { nil }
  }

  package func exported() -> ExportedOperator {
    let constants: [Int: Tensor] =
      switch target {
      case .sizes(let sizes): [3: Tensor(sizes)]
      case .scales(let scales): [2: Tensor(shape: [scales.count], floats: scales)]
      }
    return ExportedOperator(
      name,
      attributes: [
        "axes": .ints(axes), "mode": .string(mode.rawValue),
        "coordinate_transformation_mode": .string(coordinates.rawValue),
        "nearest_mode": .string(rounding.rawValue), "cubic_coeff_a": .float(cubic),
      ], constants: constants, opset: coordinates == .symmetricHalfPixel ? 19 : 18)
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    var shape = inputs[0]
    for (n, axis) in try axes.axes(ofRank: shape.count).enumerated() {
      guard shape[axis] > 0 else { throw OperatorError("an empty axis cannot be resized") }
      switch target {
      case .sizes(let sizes): shape[axis] = sizes[n]
      case .scales(let scales):
        let size = (Float(shape[axis]) * scales[n]).rounded(.down)
        guard size >= 1, size <= Float(1 << 24) else {
          throw OperatorError("a scale of \(scales[n]) is impossible")
        }
        shape[axis] = Int(size)
      }
      guard shape[axis] > 0 else { throw OperatorError("a size of \(shape[axis]) is impossible") }
    }
    try shape.checkedElementCount()
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    for axis in links.inputShapes[0].indices {
      if axes.contains(axis) {
        links.freeze(.input(0, axis: axis), "it is resized")
        links.freeze(.output(0, axis: axis), "it is resized")
      } else {
        links.unite(.input(0, axis: axis), .output(0, axis: axis))
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    var result = inputs[0]
    for (n, axis) in axes.enumerated() {
      var shape = result.shape
      let taps = taps(n, from: shape[axis])
      shape[axis] = taps.count
      var y = [Double](repeating: 0, count: shape.product)
      Self.forEachTap(result.shape, axis, taps) {
        y[$1] += $2 * Double(result.floats[$0])
      }
      result = Tensor(shape: shape, floats: y.map(Float.init))
    }
    return [result]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var shapes = [inputs[0].shape]
    for (n, axis) in axes.enumerated() {
      var shape = shapes[n]
      shape[axis] = outputs[0].shape[axis]
      shapes.append(shape)
    }
    var gradient = cotangents[0]
    for (n, axis) in axes.enumerated().reversed() {
      var dx = [Double](repeating: 0, count: shapes[n].product)
      Self.forEachTap(shapes[n], axis, taps(n, from: shapes[n][axis])) {
        dx[$0] += $2 * Double(gradient.floats[$1])
      }
      gradient = Tensor(shape: shapes[n], floats: dx.map(Float.init))
    }
    return [gradient]
  }

  private static func forEachTap(
    _ shape: [Int], _ axis: Int, _ taps: [[(index: Int, weight: Double)]],
    _ body: (_ input: Int, _ output: Int, _ weight: Double) -> Void
  ) {
    let (outer, inner) = (shape[..<axis].product, shape[(axis + 1)...].product)
    for o in 0..<outer {
      for (position, own) in taps.enumerated() {
        for tap in own {
          let (from, to) = (
            (o * shape[axis] + tap.index) * inner, (o * taps.count + position) * inner
          )
          for i in 0..<inner { body(from + i, to + i, tap.weight) }
        }
      }
    }
  }

  /// What every index of the output of an axis is made of.
  private func taps(_ n: Int, from size: Int) -> [[(index: Int, weight: Double)]] {
    let (count, scale): (Int, Float) =
      switch target {
      case .sizes(let sizes): (sizes[n], Float(sizes[n]) / Float(size))
      case .scales(let scales): (Int((Float(size) * scales[n]).rounded(.down)), scales[n])
      }
    return (0..<count).map { position in
      let x = Double(point(Float(position), scale: scale, from: size, to: count))
      func clamped(_ index: Int) -> Int { min(max(index, 0), size - 1) }
      switch mode {
      case .nearest: return [(clamped(rounded(x)), 1)]
      case .linear:
        let bounded = min(max(x, 0), Double(size - 1))
        let low = Int(bounded.rounded(.down))
        let rest = bounded - Double(low)
        return rest == 0 ? [(low, 1)] : [(low, 1 - rest), (low + 1, rest)]
      case .cubic:
        let low = Int(x.rounded(.down))
        return (-1...2).map { (clamped(low + $0), cubicWeight(abs(x - Double(low + $0)))) }
      }
    }
  }

  /// The point of the input, in the precision of ONNX Runtime: on the edge between two pixels, the
  /// last bit decides which of them is taken.
  private func point(_ x: Float, scale: Float, from size: Int, to count: Int) -> Float {
    switch coordinates {
    case .halfPixel: return (x + 0.5) / scale - 0.5
    case .symmetricHalfPixel:
      let adjustment = Float(count) / (scale * Float(size))
      let offset = Float(size) / 2 * (1 - adjustment)
      return Float(Double(offset) + (Double(x) + 0.5) / Double(scale) - 0.5)
    case .pytorchHalfPixel: return count > 1 ? (x + 0.5) / scale - 0.5 : 0
    case .alignCorners:
      // ONNX takes the length before it is rounded down: its own tests have it so. ONNX Runtime,
      // which leaves them out, takes the length that there is.
      let length: Float = if case .sizes = target { Float(count) } else { scale * Float(size) }
      return length > 1 ? x * Float(size - 1) / (length - 1) : 0
    case .asymmetric: return x / scale
    }
  }

  /// What is halfway but for rounding counts as halfway, as in ONNX Runtime.
  private func rounded(_ x: Double) -> Int {
    let half = 0.5 + 1e-6
    return switch rounding {
    case .roundPreferFloor: Int((x - half).rounded(.up))
    case .roundPreferCeil: Int((x + half).rounded(.down))
    case .floor: Int(x.rounded(.down))
    case .ceil: Int(x.rounded(.up))
    }
  }

  /// The weight of a pixel at a distance below 2.
  private func cubicWeight(_ t: Double) -> Double {
    let a = Double(cubic)
    return t <= 1
      ? ((a + 2) * t - (a + 3)) * t * t + 1 : ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
  }
}
