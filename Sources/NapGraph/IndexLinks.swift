/// An axis of an input or output of one node.
package enum Axis: Sendable, Hashable {
  case input(Int, axis: Int)
  case output(Int, axis: Int)
}

/// What one operator declares about its indices: which stand or fall together, which may not go.
///
/// Every index of every axis of every value is an *atom*; an operator unites atoms. Indices it
/// neither unites nor freezes are free: removing them concerns nobody else (the zeros of a `Pad`).
package struct IndexLinks: Sendable {
  package struct Atom: Sendable, Hashable {
    package var axis: Axis
    package var index: Int
  }

  package let inputShapes: [[Int]]
  package let outputShapes: [[Int]]
  package private(set) var unions: [(Atom, Atom)] = []
  package private(set) var frozen: [(atoms: [Atom], reason: String)] = []
  /// Which of its alternatives an operator is to declare; 0 unless it has offered more.
  package let alternative: Int
  /// In how many ways the operator's axes can correspond.
  ///
  /// Of an axis that is split in two, either the outer or the inner part can keep its freedom.
  package private(set) var alternatives = 1
  /// The axes that are free in some alternatives only.
  package private(set) var contested: [Axis] = []

  package init(inputShapes: [[Int]], outputShapes: [[Int]], alternative: Int = 0) {
    self.inputShapes = inputShapes
    self.outputShapes = outputShapes
    self.alternative = alternative
  }

  package mutating func offer(alternatives count: Int, for axes: [Axis]) {
    alternatives = max(alternatives, count)
    contested += axes
  }

  package func size(_ axis: Axis) -> Int {
    switch axis {
    case .input(let i, let a): inputShapes[i][a]
    case .output(let o, let a): outputShapes[o][a]
    }
  }

  /// Index `i` of one axis goes together with index `j` of another.
  package mutating func unite(_ a: Axis, _ i: Int, _ b: Axis, _ j: Int) {
    unions.append((Atom(axis: a, index: i), Atom(axis: b, index: j)))
  }

  /// Two axes of the same size correspond index by index.
  package mutating func unite(_ a: Axis, _ b: Axis) {
    precondition(size(a) == size(b), "axes of sizes \(size(a)) and \(size(b)) cannot correspond")
    for i in 0..<size(a) { unite(a, i, b, i) }
  }

  /// No index of the axis may be removed.
  ///
  /// The reason is shown to the user.
  package mutating func freeze(_ axis: Axis, _ reason: String) {
    frozen.append(((0..<size(axis)).map { Atom(axis: axis, index: $0) }, reason))
  }

  package mutating func freeze(_ axis: Axis, _ index: Int, _ reason: String) {
    frozen.append(([Atom(axis: axis, index: index)], reason))
  }

  /// Freezes all axes of all inputs and outputs.
  package mutating func freezeAll(_ reason: String) {
    for (i, shape) in inputShapes.enumerated() {
      for axis in shape.indices { freeze(.input(i, axis: axis), reason) }
    }
    for (o, shape) in outputShapes.enumerated() {
      for axis in shape.indices { freeze(.output(o, axis: axis), reason) }
    }
  }
}

/// What is left of a node's inputs and outputs after a cut.
package struct NodeCut: Sendable {
  /// Shapes before the cut.
  package let inputShapes: [[Int]]
  package let outputShapes: [[Int]]
  /// Kept indices, ascending, by input and axis.
  package let keptInputs: [[[Int]]]
  /// Kept indices, ascending, by output and axis.
  package let keptOutputs: [[[Int]]]

  package init(
    inputShapes: [[Int]], outputShapes: [[Int]], keptInputs: [[[Int]]], keptOutputs: [[[Int]]]
  ) {
    self.inputShapes = inputShapes
    self.outputShapes = outputShapes
    self.keptInputs = keptInputs
    self.keptOutputs = keptOutputs
  }

  /// Shapes after the cut.
  package var newInputShapes: [[Int]] { keptInputs.map { $0.map(\.count) } }
  package var newOutputShapes: [[Int]] { keptOutputs.map { $0.map(\.count) } }
}
