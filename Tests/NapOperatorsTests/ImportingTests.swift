import NapGraph
import NapOperators
import NapTensor
import Testing

/// The forms that nodes have in older and newer opsets than the one that is written.
@Suite struct ImportingTests {
  private func read<T: Operator>(
    _ type: T.Type, opset: Int, _ attributes: [String: Attribute] = [:], shape: [Int] = [2, 6],
    constants: [Tensor?] = [], outputs: Int = 1
  ) throws -> T {
    let inputs = constants.map { tensor in
      tensor.map { NodeDescription.Input(shape: $0.shape, constant: $0) }
    }
    let node = NodeDescription(
      name: "node", operatorType: T.name, opset: opset, attributes: attributes,
      inputs: [.init(shape: shape)] + inputs, outputCount: outputs)
    return try #require(T.importing(node).op as? T)
  }

  @Test func clipHasAttributesOrInputs() throws {
    let old = try read(Clip.self, opset: 6, ["min": .float(0), "max": .float(6)])
    #expect([old.lower, old.upper] == [0, 6])
    let new = try read(Clip.self, opset: 13, constants: [nil, Tensor(shape: [], floats: [6])])
    #expect([new.lower, new.upper] == [nil, 6])
    #expect(throws: OperatorError("clipping integers is not supported")) {
      try read(Clip.self, opset: 13, constants: [Tensor([1])])
    }
  }

  /// Its NaN is not read, as 0 times NaN would be NaN.
  @Test func aBiasThatCountsZeroTimesIsNone() throws {
    let bias = Tensor(shape: [5], repeating: .nan)
    let sample = OperatorSample(
      "unused bias", Gemm(beta: 0), [.random([3, 4]), .random([5, 4], seed: 1), bias],
      constantInputs: [1, 2])
    let imported = try Gemm.importing(WrittenNode(sample).description)
    #expect(imported.inputs == [0, 1])
    #expect((imported.op as? Gemm)?.beta == 1)
  }

  @Test func attributesThatAreNotFiniteAreRefused() throws {
    for (value, what) in [(Float.nan, "NaN"), (.infinity, "infinite"), (-.infinity, "infinite")] {
      #expect(throws: OperatorError("attribute 'alpha' is \(what)")) {
        try read(LeakyRelu.self, opset: 16, ["alpha": .float(value)])
      }
      #expect(throws: OperatorError("attribute 'epsilon' is \(what)")) {
        try read(LayerNormalization.self, opset: 17, ["epsilon": .float(value)])
      }
    }
    // As bounds and padding they mean something.
    let clip = try read(Clip.self, opset: 6, ["min": .float(0), "max": .float(.infinity)])
    #expect([clip.lower, clip.upper] == [0, .infinity])
    let pad = try read(
      Pad.self, opset: 2, ["pads": .ints([0, 1, 0, 2]), "value": .float(-.infinity)])
    #expect(pad.value == -.infinity && !pad.staysFinite(constants: []))
  }

  @Test func sliceHasAttributesOrInputs() throws {
    let old = try read(
      Slice.self, opset: 9, ["starts": .ints([1]), "ends": .ints([9]), "axes": .ints([1])])
    #expect(old.ranges == [.init(axis: 1, start: 1, end: 9)])
    let new = try read(
      Slice.self, opset: 10,
      constants: [Tensor([0, 5]), Tensor([1, 0]), Tensor([0, 1]), Tensor([1, -2])])
    #expect(
      new.ranges == [.init(axis: 0, start: 0, end: 1), .init(axis: 1, start: 5, end: 0, step: -2)])
  }

  @Test func padHasAttributesOrInputs() throws {
    let old = try read(Pad.self, opset: 2, ["pads": .ints([0, 1, 0, 2]), "value": .float(3)])
    #expect([old.before, old.after] == [[0, 1], [0, 2]])
    #expect(old.value == 3)
    let new = try read(
      Pad.self, opset: 18,
      constants: [Tensor([1, 2]), Tensor(shape: [], floats: [3]), Tensor([-1])])
    #expect([new.before, new.after] == [[0, 1], [0, 2]])
    #expect(new.value == 3)
    for mode in Pad.Mode.allCases {
      let pads = Tensor([0, 1, 0, 2])
      #expect(
        try read(Pad.self, opset: 19, ["mode": .string(mode.rawValue)], constants: [pads]).mode
          == mode)
    }
    #expect {
      try read(
        Pad.self, opset: 11, ["mode": .string("symmetric")], constants: [Tensor([0, 1, 0, 1])])
    } throws: {
      ($0 as? OperatorError)?.problem.hasPrefix("there is no padding mode 'symmetric'") ?? false
    }
    #expect(throws: OperatorError("negative pads [0, -1, 0, 0] are not supported")) {
      try Pad(before: [0, -1], after: [0, 0]).infer([[2, 3]])
    }
  }

  @Test func splitHasSizesOrEqualParts() throws {
    #expect(
      try read(Split.self, opset: 11, ["axis": .int(1), "split": .ints([2, 4])], outputs: 2).sizes
        == [2, 4])
    #expect(
      try read(Split.self, opset: 13, ["axis": .int(1)], constants: [Tensor([5, 1])], outputs: 2)
        .sizes == [5, 1])
    #expect(try read(Split.self, opset: 13, ["axis": .int(-1)], outputs: 3).sizes == [2, 2, 2])
    let uneven: [String: Attribute] = ["axis": .int(1), "num_outputs": .int(4)]
    #expect(
      try read(Split.self, opset: 18, uneven, shape: [2, 7], outputs: 4).sizes == [2, 2, 2, 1])
    #expect(throws: OperatorError("axis 1 of size 7 cannot be split into 4 equal parts")) {
      try read(Split.self, opset: 13, uneven, shape: [2, 7], outputs: 4)
    }
  }

  @Test func squeezedAxesAreAttributesInputsOrThoseOfSizeOne() throws {
    #expect(try read(Squeeze.self, opset: 11, ["axes": .ints([1])], shape: [2, 1]).axes == [1])
    #expect(
      try read(Squeeze.self, opset: 13, shape: [2, 1], constants: [Tensor([-1])]).axes == [-1])
    #expect(try read(Squeeze.self, opset: 13, shape: [1, 2, 1]).axes == [0, 2])
    #expect(try read(Unsqueeze.self, opset: 11, ["axes": .ints([0])]).axes == [0])
  }

  @Test func transposeReversesByDefault() throws {
    #expect(try read(Transpose.self, opset: 13, shape: [2, 3, 4]).permutation == [2, 1, 0])
  }

  @Test func dropoutIsReadAsItIsUsed() throws {
    #expect(try read(Dropout.self, opset: 7, ["ratio": .float(0.2)]).ratio == 0.2)
    #expect(
      try read(Dropout.self, opset: 13, constants: [Tensor(shape: [], floats: [0.3])]).ratio == 0.3)
    #expect(throws: OperatorError("the mask (output 1) is not supported")) {
      try read(Dropout.self, opset: 13, outputs: 2)
    }
    let training = Tensor(shape: [], integers: [1], elementType: .bool)
    #expect(throws: OperatorError.self) {
      try read(Dropout.self, opset: 13, constants: [nil, training])
    }
  }

  /// As ONNX Runtime does it; where one node of today could not say so, it is refused.
  @Test func resizesWithoutARoundingHaveOne() throws {
    func rounding(_ scales: [Float], _ mode: String = "nearest") throws -> Resize.Rounding {
      let scales = Tensor(shape: [4], floats: [1, 1] + scales)
      let resize = try read(
        Resize.self, opset: 10, ["mode": .string(mode)], shape: [1, 1, 5, 6], constants: [scales])
      #expect(resize.coordinates == .asymmetric)
      return resize.rounding
    }
    #expect(try rounding([2, 1.5]) == .floor)
    #expect(try rounding([0.7, 0.7]) == .ceil)
    #expect(try rounding([1, 0.7]) == .ceil)
    #expect(throws: OperatorError.self) { try rounding([0.7, 2]) }
    _ = try rounding([0.7, 2], "linear")
    let upsample = NodeDescription(
      name: "u", operatorType: "Upsample", opset: 9,
      inputs: [
        .init(shape: [1, 6]),
        .init(shape: [2], constant: Tensor(shape: [2], floats: [1, 0.5])),
      ])
    #expect(throws: OperatorError.self) { try Resize.importing(upsample) }
  }

  @Test func unsupportedTypesAreNamed() {
    #expect {
      try read(Cast.self, opset: 13, ["to": .int(8)])
    } throws: { ($0 as? OperatorError)?.problem == "casting to string is not supported" }
  }

  /// Tensors of other precisions are read as single precision, and so is what is cast to them.
  @Test(arguments: [10, 11, 16]) func floatsOfAnyPrecisionAreFloats(_ type: Int) throws {
    #expect(try read(Cast.self, opset: 13, ["to": .int(type)]).type == .float32)
  }

  @Test func shapesThatRunTimeDecidesAreRefused() {
    let node = NodeDescription(
      name: "r", operatorType: "Reshape", opset: 13,
      inputs: [.init(shape: [2, 6]), .init(shape: [2])])
    #expect(throws: OperatorError.self) { try Reshape.importing(node) }
  }
}
