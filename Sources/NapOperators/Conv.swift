package import NapGraph
import NapKernels
package import NapTensor

/// Convolution `y = W ∗ x + b` over any number of spatial axes, in groups.
///
/// - Shapes: `x [N, C, …]`, `W [O, C/group, …]`, `b [O]`, `y [N, O, …]`.
package struct Conv: AffineOperator {
  package static let name = "Conv"

  package var window: Window
  package var group: Int

  package init(window: Window, group: Int = 1) {
    self.window = window
    self.group = group
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let weight = try node.shape(ofInput: 1)
    let kernel = try node.ints("kernel_shape") ?? Array(weight.dropFirst(2))
    let group = try node.int("group", default: 1)
    guard group > 0 else { throw OperatorError("attribute 'group' is \(group)") }
    let conv = Conv(window: try Window(node, kernel: kernel), group: group)
    return try ImportedOperator(conv, first: node.hasInput(2) ? 3 : 2, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: window.attributes.merging(["group": .int(group)]) { $1 })
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: inputs.count == 3 ? 3 : 2)
    let (x, w) = (inputs[0], inputs[1])
    guard x.count == window.kernel.count + 2, x.count > 2, x.count <= 5 else {
      throw OperatorError("an input of shape \(x) does not fit a kernel of size \(window.kernel)")
    }
    guard w.count == x.count, Array(w.dropFirst(2)) == window.kernel else {
      throw OperatorError("weights of shape \(w) do not fit a kernel of size \(window.kernel)")
    }
    let (perGroup, overflow) = w[1].multipliedReportingOverflow(by: group)
    guard !overflow, w[0] > 0, w[1] > 0, w[0] % group == 0 else {
      throw OperatorError("weights of shape \(w) cannot be split into \(group) groups")
    }
    guard perGroup == x[1] else {
      throw OperatorError("the weights take \(perGroup) channels, but the input has \(x[1])")
    }
    if inputs.count == 3, inputs[2] != [w[0]] {
      throw OperatorError("a bias of shape \(inputs[2]) does not fit \(w[0]) output channels")
    }
    let shape = [x[0], w[0]] + (try window.outputSizes(Array(x.dropFirst(2))))
    try shape.checkedElementCount()
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    let weight = links.inputShapes[1]
    links.unite(.input(0, axis: 0), .output(0, axis: 0))
    links.unite(.input(1, axis: 0), .output(0, axis: 1))
    if links.inputShapes.count == 3 { links.unite(.input(2, axis: 0), .output(0, axis: 1)) }
    if group == 1 {
      links.unite(.input(0, axis: 1), .input(1, axis: 1))
    } else {
      linkGroups(&links, inputs: weight[1], outputs: weight[0] / group)
    }
    for axis in 2..<weight.count {
      links.freeze(.input(0, axis: axis), "it is a position in the image")
      links.freeze(.input(1, axis: axis), "it is a position in the kernel")
      links.freeze(.output(0, axis: axis), "it is a position in the image")
    }
  }

  /// Either whole groups can go, or the same channels of all groups.
  private func linkGroups(_ links: inout IndexLinks, inputs: Int, outputs: Int) {
    if inputs > 1 || outputs > 1 {
      links.offer(alternatives: 2, for: [.input(0, axis: 1), .output(0, axis: 1)])
    }
    guard links.alternative % links.alternatives == 0 else {
      for g in 0..<group {
        for o in 0..<outputs {
          links.unite(.output(0, axis: 1), o, .output(0, axis: 1), g * outputs + o)
        }
        for i in 0..<inputs {
          links.unite(.input(1, axis: 1), i, .input(0, axis: 1), g * inputs + i)
        }
      }
      return
    }
    links.freeze(.input(1, axis: 1), "it is a channel inside a group")
    for g in 0..<group {
      let first = g * outputs
      for o in 1..<max(1, outputs) {
        links.unite(.output(0, axis: 1), first, .output(0, axis: 1), first + o)
      }
      for i in 0..<inputs {
        links.unite(.input(0, axis: 1), g * inputs + i, .output(0, axis: 1), first)
      }
    }
  }

  package func adapted(to cut: NodeCut) -> Conv {
    guard group > 1 else { return self }
    return Conv(window: window, group: cut.keptInputs[0][1].count / cut.keptInputs[1][1].count)
  }

  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (outputs[0] + inputs[1].dropFirst()).boundedProduct
  }

  package func role(ofInput index: Int) -> ParameterRole? {
    index == 1 ? .weight : index == 2 ? .bias : nil
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let (x, w) = (inputs[0].floats, inputs[1].floats)
    var y = [Float](repeating: 0, count: shape.product)
    forEachOutput(inputs.map(\.shape), shape) {
      position, channel, taps, inputBase, weightBase, sizes in
      var sum = inputs.count == 3 ? Double(inputs[2].floats[channel]) : 0
      for c in 0..<sizes.channels {
        for tap in taps {
          sum +=
            Double(w[weightBase + c * sizes.kernel + tap.kernel])
            * Double(x[inputBase + c * sizes.image + tap.input])
        }
      }
      y[position] = Float(sum)
    }
    return [Tensor(shape: shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let (x, w, dy) = (inputs[0].floats, inputs[1].floats, cotangents[0].floats)
    var sums = inputs.map { [Double](repeating: 0, count: $0.count) }
    forEachOutput(inputs.map(\.shape), outputs[0].shape) {
      position, channel, taps, inputBase, weightBase, sizes in
      let slope = Double(dy[position])
      if inputs.count == 3 { sums[2][channel] += slope }
      for c in 0..<sizes.channels {
        for tap in taps {
          let (i, k) = (
            inputBase + c * sizes.image + tap.input, weightBase + c * sizes.kernel + tap.kernel
          )
          sums[0][i] += slope * Double(w[k])
          sums[1][k] += slope * Double(x[i])
        }
      }
    }
    return zip(inputs, sums).map { Tensor(shape: $0.shape, floats: $1.map(Float.init)) }
  }

  private func forEachOutput(
    _ inputs: [[Int]], _ output: [Int],
    _ body: (
      _ position: Int, _ channel: Int, _ taps: [(kernel: Int, input: Int)], _ inputBase: Int,
      _ weightBase: Int, _ sizes: (channels: Int, kernel: Int, image: Int)
    ) -> Void
  ) {
    let sizes = Array(inputs[0].dropFirst(2))
    let (image, kernel, channels) = (sizes.product, window.kernel.product, inputs[1][1])
    let taps = window.taps(sizes)
    let (outputsPerGroup, positions) = (output[1] / group, output.dropFirst(2).product)
    for n in 0..<output[0] {
      for o in 0..<output[1] {
        let inputBase = (n * inputs[0][1] + o / outputsPerGroup * channels) * image
        for (p, taps) in taps.enumerated() {
          body(
            (n * output[1] + o) * positions + p, o, taps, inputBase,
            o * channels * kernel, (channels, kernel, image))
        }
      }
    }
  }
}

// MARK: Kronecker factors
extension Conv {
  package var weightOutputAxis: Int { 0 }
  package var weightInputAxis: Int { 1 }

  package func affineShape(_ inputs: [[Int]]) -> AffineShape? {
    guard let positions = try? window.outputSizes(Array(inputs[0].dropFirst(2))).product else {
      return nil
    }
    return AffineShape(
      groups: group, inputs: inputs[1].dropFirst().product, outputs: inputs[1][0] / group,
      positions: positions)
  }

  package func matrices(ofWeight weight: Tensor) -> Tensor {
    weight.reshaped(to: [group, weight.shape[0] / group, weight.shape.dropFirst().product])
  }

  package func weight(ofMatrices matrices: Tensor, shape: [Int]) -> Tensor {
    matrices.reshaped(to: shape)
  }

  package var patchesArePositionMajor: Bool { false }

  package func writePatches(
    of x: UnsafePointer<Float>, shape: [Int], examples: Range<Int>, group: Int, grid: PositionGrid,
    into rows: UnsafeMutablePointer<Float>
  ) -> Int {
    let sizes = Array(shape.dropFirst(2))
    var g = window.geometry(sizes)
    var outputs = (try? window.outputSizes(sizes)) ?? []
    // Some positions of a convolution are all positions of one with larger strides.
    for axis in outputs.indices {
      let phase = axis < grid.phases.count ? min(grid.phases[axis], outputs[axis] - 1) : 0
      g.padsBegin[axis] -= phase * g.strides[axis]
      g.strides[axis] *= grid.step
      outputs[axis] = (outputs[axis] - phase + grid.step - 1) / grid.step
    }
    // One to three spatial axes, seen as three.
    func three(_ values: [Int], _ filler: Int) -> [Int] {
      [Int](repeating: filler, count: 3 - values.count) + values
    }
    let (size, out, k) = (three(sizes, 1), three(outputs, 1), three(g.kernel, 1))
    let (s, d, p) = (three(g.strides, 1), three(g.dilations, 1), three(g.padsBegin, 0))
    let channels = shape[1] / self.group
    let (image, positions) = (sizes.product, outputs.product)
    var row = rows
    for n in examples {
      for c in 0..<channels {
        let source = x + (n * shape[1] + group * channels + c) * image
        for k0 in 0..<k[0] {
          for k1 in 0..<k[1] {
            for k2 in 0..<k[2] {
              // Columns of the output whose tap lies inside the image.
              let offset = k2 * d[2] - p[2]
              let low = min(out[2], max(0, (-offset + s[2] - 1) / s[2]))
              let high = max(
                low, min(out[2], offset < size[2] ? (size[2] - 1 - offset) / s[2] + 1 : 0))
              var line = row
              for o0 in 0..<out[0] {
                let i0 = o0 * s[0] + k0 * d[0] - p[0]
                for o1 in 0..<out[1] {
                  let i1 = o1 * s[1] + k1 * d[1] - p[1]
                  if i0 < 0 || i0 >= size[0] || i1 < 0 || i1 >= size[1] {
                    line.update(repeating: 0, count: out[2])
                  } else {
                    let base = source + (i0 * size[1] + i1) * size[2]
                    line.update(repeating: 0, count: low)
                    if s[2] == 1 {
                      (line + low).update(from: base + low + offset, count: high - low)
                    } else {
                      for o2 in low..<high { line[o2] = base[o2 * s[2] + offset] }
                    }
                    (line + high).update(repeating: 0, count: out[2] - high)
                  }
                  line += out[2]
                }
              }
              row += positions
            }
          }
        }
      }
    }
    return positions
  }
}
