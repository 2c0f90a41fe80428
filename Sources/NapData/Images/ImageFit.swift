/// How images of any size are brought to the size that a network takes: resized, then the middle cut out.
package struct ImageFit: Sendable, Hashable {
  /// How large an image is before the middle is cut out.
  package enum Resize: Sendable, Hashable {
    /// The shorter side gets so many pixels.
    case shorterSide(Int)
    /// The smallest size that covers these.
    case cover(height: Int, width: Int)
  }

  /// What is cut out.
  package var height: Int
  package var width: Int
  package var resize: Resize

  /// - Parameter resize: `nil` for as small as covers what is cut out.
  package init(height: Int, width: Int, resize: Resize? = nil) {
    (self.height, self.width) = (height, width)
    self.resize = resize ?? .cover(height: height, width: width)
  }

  /// The size an image is brought to, by torchvision's rule: the longer side is rounded down.
  func size(ofWidth imageWidth: Int, height imageHeight: Int) -> (width: Int, height: Int) {
    let isTall = imageHeight >= imageWidth
    let (short, long) = isTall ? (imageWidth, imageHeight) : (imageHeight, imageWidth)
    let side =
      switch resize {
      case .shorterSide(let side): side
      case .cover(let height, let width):
        max(isTall ? width : height, ((isTall ? height : width) * short + long - 1) / long)
      }
    let other = max(1, side * long / short)
    return isTall ? (side, other) : (other, side)
  }
}

extension DecodedImage {
  /// Writes the image as three planes, resized and cut out; black where it is smaller than what is cut out.
  func writePlanes(_ fit: ImageFit, into planes: UnsafeMutablePointer<UInt8>) {
    let size = fit.size(ofWidth: width, height: height)
    let image = resized(width: size.width, height: size.height)
    let (top, left) = (
      Self.offset(image.height, fit.height), Self.offset(image.width, fit.width)
    )
    for y in 0..<fit.height {
      for x in 0..<fit.width {
        let (row, column) = (y + top, x + left)
        let isInside = row >= 0 && row < image.height && column >= 0 && column < image.width
        for channel in 0..<3 {
          planes[(channel * fit.height + y) * fit.width + x] =
            isInside ? image.pixels[(row * image.width + column) * 3 + channel] : 0
        }
      }
    }
  }

  /// Where the middle begins, as torchvision rounds it: half to even, what is missing down.
  private static func offset(_ size: Int, _ wanted: Int) -> Int {
    size < wanted
      ? -((wanted - size) / 2) : Int((Double(size - wanted) / 2).rounded(.toNearestOrEven))
  }
}
