// What a program that imports NapKit sees of other modules: reports and errors.
@_exported public import NapReport
@_exported public import NapTensor
