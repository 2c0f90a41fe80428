import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// An operator that moves blocks of pixels to channels, or back.
package protocol BlockMove: MovingOperator {
  var blockSize: Int { get }
  /// Whether channels become pixels.
  static var isUnfolding: Bool { get }
  /// Whether the place in the block is the inner part of the deeper side's channel index.
  var isColumnRowDepth: Bool { get }
}

extension BlockMove {
  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let (x, b) = (inputs[0], blockSize)
    guard x.count == 4, b > 0, b <= 1 << 15 else {
      throw OperatorError("blocks of \(b)x\(b) do not fit an input of shape \(x)")
    }
    let fits = Self.isUnfolding ? x[1] % (b * b) == 0 : x[2] % b == 0 && x[3] % b == 0
    guard fits else {
      throw OperatorError("an input of shape \(x) is not made of blocks of \(b)x\(b)")
    }
    let shape =
      Self.isUnfolding
      ? [x[0], x[1] / (b * b), x[2] * b, x[3] * b] : [x[0], x[1] * b * b, x[2] / b, x[3] / b]
    try shape.checkedElementCount()
    return [shape]
  }

  /// The channel of the deep side for a channel of the shallow one and a place in the block.
  private func deepChannel(_ channel: Int, _ place: Int, of channels: Int) -> Int {
    isColumnRowDepth ? channel * blockSize * blockSize + place : place * channels + channel
  }

  package func link(_ links: inout IndexLinks) {
    let (deep, shallow): (Axis, Axis) =
      Self.isUnfolding
      ? (.input(0, axis: 1), .output(0, axis: 1)) : (.output(0, axis: 1), .input(0, axis: 1))
    let channels = links.size(shallow)
    for c in 0..<channels {
      for place in 0..<blockSize * blockSize {
        links.unite(shallow, c, deep, deepChannel(c, place, of: channels))
      }
    }
    links.unite(.input(0, axis: 0), .output(0, axis: 0))
    for axis in 2...3 {
      links.freeze(.input(0, axis: axis), "it is a position in the image")
      links.freeze(.output(0, axis: axis), "it is a position in the image")
    }
  }

  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let (deep, shallow) = Self.isUnfolding ? (inputs[0], outputs[0]) : (outputs[0], inputs[0])
    let (d, s, b) = (deep.rowMajorStrides, shallow.rowMajorStrides, blockSize)
    let channelStep = isColumnRowDepth ? b * b : 1
    let placeStep = isColumnRowDepth ? 1 : shallow[1]
    // Axes: image, channel, row, row in the block, column, column in the block.
    let shape = [deep[0], shallow[1], deep[2], b, deep[3], b]
    let deepStrides = [
      d[0], channelStep * d[1], d[2], b * placeStep * d[1], d[3], placeStep * d[1],
    ]
    let shallowStrides = [s[0], s[1], b * s[2], s[2], b * s[3], s[3]]
    return [
      DataMove(
        input: 0, output: 0,
        move: StridedMove(
          shape: shape, sourceStrides: Self.isUnfolding ? deepStrides : shallowStrides,
          destinationStrides: Self.isUnfolding ? shallowStrides : deepStrides))
    ]
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let move = moves(inputs: [inputs[0].shape], outputs: [shape])[0].move
    return [Self.moved(inputs[0].floats, move, to: shape)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let move = moves(inputs: [inputs[0].shape], outputs: [outputs[0].shape])[0].move
    return [Self.moved(cotangents[0].floats, move.reversed, to: inputs[0].shape)]
  }

  private static func moved(_ source: [Float], _ move: StridedMove, to shape: [Int]) -> Tensor {
    var result = [Float](repeating: 0, count: shape.product)
    source.withUnsafeBufferPointer { from in
      result.withUnsafeMutableBufferPointer { to in
        if let from = from.baseAddress, let to = to.baseAddress { move.run(from: from, to: to) }
      }
    }
    return Tensor(shape: shape, floats: result)
  }
}
