// Launches a kernel from inside an XLA program: a typed FFI handler around CUDA's driver, which g++
// builds without CUDA's headers. Python gives the PTX of each kernel; a device loads it when it
// first launches it. A test defines DRIVER, and WITHOUT_STREAM to run on a CPU.
#include <dlfcn.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "xla/ffi/api/ffi.h"
#ifndef DRIVER
#define DRIVER "libcuda.so.1"
#endif
namespace ffi = xla::ffi;
using Pointer = void*;

static std::mutex guard;
static std::map<int64_t, std::string> sources;                       // of kernels, PTX
static std::map<std::pair<Pointer, int64_t>, Pointer> functions;     // of a context and a kernel

extern "C" void add(int64_t kernel, const char* ptx) {
  const std::lock_guard<std::mutex> lock(guard);
  sources[kernel] = ptx;
}

template <typename... Arguments> static void call(const char* name, Arguments... arguments) {
  static Pointer driver = dlopen(DRIVER, RTLD_NOW | RTLD_GLOBAL);
  const Pointer found = driver ? dlsym(driver, name) : nullptr;
  if (!found) throw std::string(name) + " is missing";
  const int code = reinterpret_cast<int (*)(Arguments...)>(found)(arguments...);
  if (code) throw std::string(name) + " fails with error " + std::to_string(code);
}

// The kernel in the current context; loaded by the first launch.
static Pointer function_of(Pointer context, int64_t kernel) {
  const std::lock_guard<std::mutex> lock(guard);
  Pointer& function = functions[{context, kernel}];
  if (function) return function;
  if (!sources.count(kernel)) throw std::string("the kernel is not known to this process");
  Pointer module = nullptr;
  call("cuModuleLoadData", &module, (const void*)sources[kernel].c_str());
  call("cuModuleGetFunction", &function, module, (const char*)"train");
  return function;
}

static ffi::Error launched(Pointer stream, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                           int64_t kernel, int32_t grid_x, int32_t grid_y, int32_t block_x) {
  std::vector<Pointer> arrays, places;
  for (size_t i = 0; i < arguments.size(); ++i)
    arrays.push_back(arguments.get<ffi::AnyBuffer>(i)->untyped_data());
  for (size_t i = 0; i < results.size(); ++i)
    arrays.push_back((*results.get<ffi::AnyBuffer>(i))->untyped_data());
  for (Pointer& array : arrays) places.push_back(&array);
  try {
    Pointer context = nullptr, before = nullptr;
    call("cuStreamGetCtx", stream, &context);
    call("cuCtxPushCurrent_v2", context);
    std::string failed;
    try {
      const Pointer function = function_of(context, kernel);
      call("cuLaunchKernel", function, (unsigned)grid_x, (unsigned)grid_y, 1u, (unsigned)block_x, 1u,
           1u, 0u, stream, places.data(), (Pointer*)nullptr);
    } catch (const std::string& error) {
      failed = error;
    }
    call("cuCtxPopCurrent_v2", &before);
    if (!failed.empty()) throw failed;
  } catch (const std::string& error) {
    return ffi::Error::Internal(error);
  }
  return ffi::Error::Success();
}

#define ARGUMENTS                                                                        \
  .RemainingArgs().RemainingRets().Attr<int64_t>("kernel").Attr<int32_t>("grid_x")       \
      .Attr<int32_t>("grid_y").Attr<int32_t>("block_x")
#ifdef WITHOUT_STREAM
static ffi::Error on_cpu(ffi::RemainingArgs arguments, ffi::RemainingRets results, int64_t kernel,
                         int32_t grid_x, int32_t grid_y, int32_t block_x) {
  return launched(nullptr, arguments, results, kernel, grid_x, grid_y, block_x);
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(launch, on_cpu, ffi::Ffi::Bind() ARGUMENTS);
#else
XLA_FFI_DEFINE_HANDLER_SYMBOL(launch, launched,
                              ffi::Ffi::Bind().Ctx<ffi::PlatformStream<Pointer>>() ARGUMENTS);
#endif
