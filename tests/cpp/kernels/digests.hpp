#pragma once

// The digests of digest_test.cpp, the same on x86-64 and AArch64. A change of bits on purpose
// changes them: copy what the test prints, and say so in CHANGELOG. A formula without a line here
// is printed and not compared.

#include <cstdint>

namespace gd::testing {

struct ExpectedDigest {
  const char* name;
  uint64_t value;
};

inline constexpr ExpectedDigest kExpectedDigests[] = {
    {"float gemm", 0x9dc40f79f855bc75},
    {"float reduce", 0x244e25d7d947bfa9},
    {"float activation celu", 0x683ff1429720be92},
    {"float activation elu", 0x64827edd649bb971},
    {"float activation gelu", 0xd39c1347f5de6184},
    {"float activation gelu_tanh", 0x3174e61e02f467be},
    {"float activation hardshrink", 0x3c17b05bfd4ad528},
    {"float activation hardsigmoid", 0xb24749a059d8040d},
    {"float activation hardswish", 0x7a7ded483dc6d928},
    {"float activation hardtanh", 0xce57408c86cee737},
    {"float activation identity", 0x02091790a0f828e2},
    {"float activation leaky_relu", 0x3d9c2212532b9dd9},
    {"float activation log_softmax", 0x6b20f3e4bdcfd165},
    {"float activation logsigmoid", 0x25ac919e66463b5d},
    {"float activation mish", 0x4f5901c801f8fa6d},
    {"float activation relu", 0xa6a0ac7f1b0bd554},
    {"float activation relu6", 0xa6a0ac7f1b0bd554},
    {"float activation selu", 0xe95cf7fe06ffc4da},
    {"float activation sigmoid", 0x6ca90558e95d550e},
    {"float activation silu", 0x7b7b687e5f1d23ba},
    {"float activation softmax", 0x19e36ed6060b98cd},
    {"float activation softplus", 0xf2481cf706b22e04},
    {"float activation softshrink", 0x1b12e3d340b33aa5},
    {"float activation softsign", 0x16ec1f44da7a9638},
    {"float activation tanh", 0x76008127f01a4c5e},
    {"float activation tanhshrink", 0x614cfca2e0154e86},
    {"float activation threshold", 0xd817de2e1dddfb85},
    {"float loss bce_with_logits", 0xda6b5613e18214e2},
    {"float loss cross_entropy", 0x5d9f5b6e92cce9ca},
    {"float loss huber", 0xb5cdf6bceaf59d7f},
    {"float loss mae", 0xea3004be6e6bb99c},
    {"float loss mse", 0x51a74d477b019a42},
    {"float rule adadelta", 0x1aefa4d989a4a19b},
    {"float rule adagrad", 0xb7ef01ff924c1f5a},
    {"float rule adam", 0x07531089114de7bb},
    {"float rule adamw", 0xfd2af2cb2cebff7e},
    {"float rule rmsprop", 0x814a838761038dc2},
    {"float rule sgd", 0xafbf5035f10057b3},
    {"double gemm", 0x138fb0d7dd99b523},
    {"double reduce", 0x59e0fb9daf68ced8},
    {"double activation celu", 0x59bc958612415afb},
    {"double activation elu", 0x59313661dff9b284},
    {"double activation gelu", 0xd1d3f13f92392275},
    {"double activation gelu_tanh", 0x5cbd31c50f146ce6},
    {"double activation hardshrink", 0xdcb21f3cabdbb93b},
    {"double activation hardsigmoid", 0x5dd80fb75b3a6d9c},
    {"double activation hardswish", 0x6c7970b07f1f1f78},
    {"double activation hardtanh", 0x8d606853f45d2322},
    {"double activation identity", 0x8c90aea445e8fd03},
    {"double activation leaky_relu", 0x10ad0313f78e14a0},
    {"double activation log_softmax", 0x07618e6d12d5bb7d},
    {"double activation logsigmoid", 0xaf4f030f55a49718},
    {"double activation mish", 0xecce35692a8e7248},
    {"double activation relu", 0xdc6cf35ded2aed65},
    {"double activation relu6", 0xdc6cf35ded2aed65},
    {"double activation selu", 0x21d410722e08eabe},
    {"double activation sigmoid", 0xfbfb8398d907f0f4},
    {"double activation silu", 0x0fc22877e983df8b},
    {"double activation softmax", 0xbadf0835a80d5217},
    {"double activation softplus", 0x2261a1f1e0d287d9},
    {"double activation softshrink", 0xa62c6c9c336609e3},
    {"double activation softsign", 0x0fdf9ef63ced219a},
    {"double activation tanh", 0x4ae11875961b3946},
    {"double activation tanhshrink", 0x8832ab323386838b},
    {"double activation threshold", 0xc05059af9330833e},
    {"double loss bce_with_logits", 0x04d6d9e5c1b2423d},
    {"double loss cross_entropy", 0x0dcd46814195c91c},
    {"double loss huber", 0x6e30335671a0408a},
    {"double loss mae", 0xf521cd2dbed133df},
    {"double loss mse", 0xc534f17433ae8c0d},
    {"double rule adadelta", 0x3cc36c13bf4ac7ad},
    {"double rule adagrad", 0x604bde56b64e4332},
    {"double rule adam", 0x880ab391093b9a49},
    {"double rule adamw", 0x1a0bbf94608b6439},
    {"double rule rmsprop", 0x8063efff0ca73e9f},
    {"double rule sgd", 0x92286afdedfcf6b0},
};

}  // namespace gd::testing
